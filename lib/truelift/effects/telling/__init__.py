"""What a result says in words: verdict first, sentences, a closing one, markup for notebooks."""
