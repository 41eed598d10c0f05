import argparse

from greeter import greet

parser = argparse.ArgumentParser(prog="greeter")
parser.add_argument("name")
parser.add_argument("--shout", action="store_true", help="greet loudly")
parser.add_argument("--times", type=int, default=1, help="greet so often")
given = parser.parse_args()
text = greet(given.name, given.times)
print(text.upper() if given.shout else text)
