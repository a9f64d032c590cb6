"""A machine as Windows or macOS are, for a process with this folder on its PYTHONPATH: much of Linux is missing."""

import asyncio
import os
import signal
import sys
import time

MODULES = ("fcntl", "resource", "termios", "pwd", "grp")
NAMES = {
    signal: ("SIGHUP", "SIGALRM", "SIGUSR1", "SIGUSR2", "SIGSTOP", "SIGCONT", "SIGTSTP", "SIGWINCH", "SIGQUIT",
             "SIGPIPE", "SIGCHLD", "pthread_sigmask", "setitimer"),
    os: ("fork", "register_at_fork", "getuid", "geteuid", "getpgid", "getpgrp", "killpg", "fchmod", "chown", "fchown",
         "O_NOFOLLOW", "O_DIRECTORY", "uname", "sysconf", "mkfifo", "sched_getaffinity", "getloadavg"),
    time: ("CLOCK_BOOTTIME", "clock_gettime"),
}  # fmt: skip

for name in MODULES:  # asyncio needs some of them here, and has them by now
    sys.modules[name] = None
for module, names in NAMES.items():
    for name in names:
        if hasattr(module, name):
            delattr(module, name)
for name in ("add_signal_handler", "remove_signal_handler"):
    setattr(asyncio.SelectorEventLoop, name, getattr(asyncio.AbstractEventLoop, name))
