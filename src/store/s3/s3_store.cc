#include "store/s3/s3_store.h"
