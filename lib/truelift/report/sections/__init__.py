"""The sections of the page: each a function from the content to markup."""
