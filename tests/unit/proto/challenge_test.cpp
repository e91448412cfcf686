// SPDX-License-Identifier: Apache-2.0
#include "proto/challenge.hpp"

#include <gtest/gtest.h>

namespace rondo::proto {
namespace {

/// "Scheme(token68|name=value|...)" of each, behind each other.
std::string read(std::string_view field, std::size_t max = 16) {
  std::string text;
  for (const Challenge& each : parse_challenges(field, max)) {
    text += each.scheme + "(" + each.token68;
    for (const auto& [name, value] : each.parameters) text += "|" + name + "=" + value;
    text += ")";
  }
  return text;
}

TEST(Challenges, commasSeparateParametersAndChallenges) {
  EXPECT_EQ(read("Basic realm=\"a, b\""), "Basic(|realm=a, b)");
  EXPECT_EQ(read("Digest realm=\"a\", nonce=\"b\",stale=true , Basic realm=c"),
            "Digest(|realm=a|nonce=b|stale=true)Basic(|realm=c)");
  EXPECT_EQ(read("Negotiate, NTLM TlRM+/==, Digest nonce=x"),
            "Negotiate()NTLM(TlRM+/==)Digest(|nonce=x)");
  EXPECT_EQ(read(" , ,Basic realm = \"x\\\"\\\\y\" ,, , New a=b"), "Basic(|realm=x\"\\y)New(|a=b)");
  EXPECT_EQ(read("Newauth realm=\"apps\", type=1, title=\"Login to \\\"apps\\\"\", Basic "
                 "realm=\"simple\""),
            "Newauth(|realm=apps|type=1|title=Login to \"apps\")Basic(|realm=simple)")
      << "RFC 9110, section 11.6.1";
  EXPECT_EQ(read(""), "");
  EXPECT_EQ(read("Basic"), "Basic()");
  EXPECT_EQ(read("Basic realm=\"\""), "Basic(|realm=)");
}

TEST(Challenges, fromWhereAFieldIsBrokenOnNothingIsTaken) {
  EXPECT_EQ(read("Basic realm=\"a\", Digest nonce=\"open"), "Basic(|realm=a)");
  EXPECT_EQ(read("Basic realm=\"a\" nonce=b, Other x=y"), "");
  EXPECT_EQ(read("realm=\"a\""), "") << "a parameter of nothing";
  EXPECT_EQ(read("NTLM abc, x=y"), "") << "a token68 has no parameters beside it";
  EXPECT_EQ(read("Basic realm=\"a\\"), "");
  EXPECT_EQ(read("Basic\x01realm=a"), "");
  EXPECT_EQ(read("A/B c=d"), "");
  EXPECT_EQ(read("Basic =a"), "");
}

TEST(Challenges, areBounded) {
  EXPECT_EQ(read("A a=1, B b=1, C c=1", 2), "A(|a=1)B(|b=1)");
  EXPECT_EQ(read("A a=1", 0), "");
  std::string many = "A x=1";
  for (int i = 0; i < 31; ++i) many += ",x=1";
  EXPECT_EQ(parse_challenges(many, 1).at(0).parameters.size(), 32U);
  EXPECT_EQ(read(many + ",x=1"), "");
  EXPECT_EQ(parse_challenges("A x=" + std::string(4'096, 'x'), 1).size(), 1U);
  EXPECT_EQ(read("A x=" + std::string(4'097, 'x')), "");
}

}  // namespace
}  // namespace rondo::proto
