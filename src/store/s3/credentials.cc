#include "store/s3/credentials.h"
