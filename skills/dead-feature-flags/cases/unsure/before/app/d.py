if flag("f"): go = 1
