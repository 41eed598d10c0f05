"""Runs `skillrunner action` for a step of a GitHub workflow, with the plugins that the step installed.

Python is started isolated (`-I`), so that nothing of the workflow's checkout or environment is imported; the
plugins' folder comes after our own packages, and replaces none of them.
"""

import os
import runpy
import site
import sys

if folder := os.environ.get("SKILLRUNNER_PLUGINS"):
    site.addsitedir(folder)
sys.argv = ["skillrunner", "action", *sys.argv[1:]]
runpy.run_module("runner", run_name="__main__", alter_sys=True)
