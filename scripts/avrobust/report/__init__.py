import os

# Before matplotlib is imported, which reads them then: a notebook's backend may not be there, the user's own settings
# would draw other figures, and a file of settings that is not UTF-8 would end the program.
os.environ.update(MPLBACKEND="agg", MATPLOTLIBRC=os.devnull)
