"""Effects of being shown: from lists with their chances to what each item adds, with intervals."""
