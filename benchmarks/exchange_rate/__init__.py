"""What is one feedback event worth, in examples of the corpus?"""

import os

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"  # before anything loads NumPy: products this small are slower on two threads
