if flag("f"):
    text = """one
    two"""
