#include "store/s3/sigv4.h"
