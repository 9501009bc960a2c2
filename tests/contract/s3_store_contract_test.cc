#include "s3_bucket.h"

namespace heimdall::testing {
namespace {

INSTANTIATE_TEST_SUITE_P(S3, ObjectStoreContract,
                         ::testing::Values(StoreUnderTest{"minio", [] { return std::make_unique<S3Bucket>(minio()); }},
                                           StoreUnderTest{"versitygw", [] { return std::make_unique<S3Bucket>(versitygw()); }}),
                         name_of_store);

}  // namespace
}  // namespace heimdall::testing
