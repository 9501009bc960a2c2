#include "store/s3/s3_capacity.h"

#include <gtest/gtest.h>

#include <string>

namespace heimdall {
namespace {

// Four disks of a set with two for parity, as MinIO tells them.
constexpr const char* kFourDisks = R"({"Disks":[
  {"endpoint":"/d1","state":"ok","totalspace":100,"usedspace":40,"availspace":60,"pool_index":0,"set_index":0,"disk_index":0},
  {"endpoint":"/d2","state":"ok","totalspace":100,"usedspace":40,"availspace":59,"pool_index":0,"set_index":0,"disk_index":1},
  {"endpoint":"/d3","state":"ok","totalspace":100,"usedspace":41,"availspace":58,"pool_index":0,"set_index":0,"disk_index":2},
  {"endpoint":"/d4","state":"offline","pool_index":0,"set_index":0,"disk_index":3}],
  "Backend":{"Type":2,"StandardSCData":[2],"StandardSCParities":[2]}})";

TEST(S3Capacity, counts_what_all_disks_hold_and_what_is_free_without_the_parity) {
  EXPECT_EQ(parse_storage_info(kFourDisks), (StoreCapacity{300, 121, 119}));
}

TEST(S3Capacity, pools_have_a_parity_each) {
  EXPECT_EQ(parse_storage_info(R"({"Disks":[{"totalspace":10,"usedspace":1,"availspace":9,"pool_index":1,"disk_index":1},
                                           {"totalspace":10,"usedspace":1,"availspace":9,"pool_index":2,"disk_index":0}],
                                  "Backend":{"StandardSCData":[1,2]}})"),
            (StoreCapacity{20, 2, 9}))
      << "of a pool that is not known nothing is free for us";
}

TEST(S3Capacity, anything_else_tells_nothing) {
  for (const char* text : {"", "{", "[]", "{}", "null", R"({"Disks":[],"Backend":{"StandardSCData":[1]}})", R"({"Disks":5,"Backend":{"StandardSCData":[1]}})",
                           R"({"Disks":[{"totalspace":"much"}],"Backend":{"StandardSCData":[1]}})", R"({"Disks":[{"totalspace":5}],"Backend":{}})",
                           R"({"Disks":[7],"Backend":{"StandardSCData":[1]}})"}) {
    EXPECT_FALSE(parse_storage_info(text)) << text;
  }
  EXPECT_FALSE(parse_storage_info(std::string(100'000, '[')));
}

}  // namespace
}  // namespace heimdall
