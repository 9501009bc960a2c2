#include "store/s3/retry_policy.h"
