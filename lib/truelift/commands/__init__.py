"""The commands, a file each, called as the command is; steps without options of their own need none."""
