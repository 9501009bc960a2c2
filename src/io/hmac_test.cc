#include "io/hmac.h"

#include <gtest/gtest.h>

#include "base/text.h"

namespace heimdall {
namespace {

// RFC 4231.
TEST(HmacTest, hmac_sha256_is_that_of_the_rfc) {
  EXPECT_EQ(to_hex(hmac_sha256(std::string(20, '\x0b'), "Hi There")),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
  EXPECT_EQ(to_hex(hmac_sha256("Jefe", "what do ya want for nothing?")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  EXPECT_EQ(to_hex(hmac_sha256(std::string(131, '\xaa'), "Test Using Larger Than Block-Size Key - Hash Key First")),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

TEST(HmacTest, takes_an_empty_key_and_an_empty_message) {
  constexpr auto expected = "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad";
  EXPECT_EQ(to_hex(hmac_sha256("", "")), expected);
  EXPECT_EQ(to_hex(hmac_sha256({}, {})), expected);
}

TEST(HmacTest, a_digest_is_a_key_of_32_bytes) { EXPECT_EQ(as_bytes(hmac_sha256("a", "b")).size(), 32u); }

// RFC 1321.
TEST(HmacTest, md5_is_that_of_the_rfc) {
  EXPECT_EQ(to_hex(md5("")), "d41d8cd98f00b204e9800998ecf8427e");
  EXPECT_EQ(to_hex(md5("message digest")), "f96b697d7cb7938d525a2f31aaf161d0");
}

}  // namespace
}  // namespace heimdall
