// SPDX-License-Identifier: Apache-2.0
// The values of RFC 7616, section 3.9.1; what it has no example of was made by Python's hashlib.
#include "http/digest.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace rondo::http::detail {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr std::string_view k_cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";

/// The challenge of the RFC with an algorithm, "" for none, and more parameters.
proto::Challenge challenge(std::string_view algorithm,
                           std::string_view more = "qop=\"auth, auth-int\"") {
  std::string field =
      "Digest realm=\"http-auth@example.org\", "
      "nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", "
      "opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\"";
  if (!algorithm.empty()) field.append(", algorithm=").append(algorithm);
  if (!more.empty()) field.append(", ").append(more);
  return proto::parse_challenges(field, 1).at(0);
}

/// The first answer to it.
std::string answer(const proto::Challenge& to) {
  auto session = DigestSession::begin(to, "Mufasa", "Circle of Life", std::string(k_cnonce));
  if (!session) return "none";
  return session->authorize({.method = "GET", .uri = "/dir/index.html"}).value_or("none");
}

TEST(Digest, answersAsTheRfcDoes) {
  EXPECT_EQ(answer(challenge("MD5")),
            "Digest username=\"Mufasa\", realm=\"http-auth@example.org\", "
            "nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", "
            "cnonce=\"f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ\", qop=auth, algorithm=MD5, "
            "opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\", "
            "uri=\"/dir/index.html\", nc=00000001, "
            "response=\"8ca523f5e9506fed4657c9700eebdbec\"");
  EXPECT_THAT(
      answer(challenge("SHA-256")),
      HasSubstr("response=\"753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1\""));
  EXPECT_THAT(answer(challenge("md5-SESS")), HasSubstr("algorithm=MD5-sess, opaque"));
  EXPECT_THAT(answer(challenge("MD5-sess")),
              HasSubstr("response=\"e783283f46242139c486a698fec7211d\""));
  EXPECT_THAT(
      answer(challenge("SHA-256-sess")),
      HasSubstr("response=\"2fd51b3a77ad75bad6afad6003e818d767133c46d9e2749e7f5232ae1ea3efd7\""));
  const std::string unsaid = answer(challenge(""));
  EXPECT_THAT(unsaid, HasSubstr("response=\"8ca523f5e9506fed4657c9700eebdbec\"")) << "it is MD5";
  EXPECT_THAT(unsaid, Not(HasSubstr("algorithm")));
}

TEST(Digest, countsTheUsesOfANonce) {
  auto session =
      DigestSession::begin(challenge("SHA-256"), "Mufasa", "Circle of Life", std::string(k_cnonce));
  ASSERT_TRUE(session);
  const DigestRequest request{.method = "GET", .uri = "/dir/index.html"};
  EXPECT_THAT(session->authorize(request).value(), HasSubstr("nc=00000001, "));
  const std::string second = session->authorize(request).value();
  EXPECT_THAT(second, HasSubstr("nc=00000002, "));
  EXPECT_THAT(
      second,
      HasSubstr("response=\"8c8db27f49ff1c202f9fb49fa9d2e9eabf078dcc93db40dfd6527010091d1c8e\""));
}

TEST(Digest, hashesTheBodyWhereNothingElseIsTaken) {
  auto session = DigestSession::begin(challenge("SHA-256", "qop=\"auth-int\""), "Mufasa",
                                      "Circle of Life", std::string(k_cnonce));
  ASSERT_TRUE(session);
  EXPECT_FALSE(session->authorize({.method = "POST", .uri = "/dir/index.html"}));
  const std::string body = "a=1";
  const std::string field =
      session->authorize({.method = "POST", .uri = "/dir/index.html", .body = &body}).value();
  EXPECT_THAT(field, HasSubstr("qop=auth-int, "));
  EXPECT_THAT(
      field,
      HasSubstr("response=\"516f79adfff6666420ffc521c31940db7abbb8601f7390ec958d4eb9533e80e3\""));
}

TEST(Digest, hidesTheUserWhenAsked) {
  // Section 3.9.2. Its example is hashed by the first half of SHA-512, which is another function
  // than SHA-512/256 (FIPS 180-4, section 5.3.6): the values here are those of the real one.
  const auto asked = proto::parse_challenges(
      "Digest realm=\"api@example.org\", qop=\"auth\", algorithm=SHA-512-256, "
      "nonce=\"5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK\", charset=UTF-8, userhash=true",
      1);
  auto session = DigestSession::begin(asked.at(0), "J\u00e4s\u00f8n Doe", "Secret, or not?",
                                      "NTg6RKcb9boFIAS3KrFK9BGeh+niz/sm");
  ASSERT_TRUE(session);
  const std::string field = session->authorize({.method = "GET", .uri = "/doe.json"}).value();
  EXPECT_THAT(
      field,
      HasSubstr("username=\"793263caabb707a56211940d90411ea4a575adeccb7e360aeb624ed06ece9b0b\", "));
  EXPECT_THAT(field, HasSubstr("userhash=true"));
  EXPECT_THAT(
      field,
      HasSubstr("response=\"7a4e1192babbba02e91182d2895bfdbf7adafc6e48d4e517ca301974843d840c\""));
  const auto plain = DigestSession::begin(challenge("SHA-256"), "J\u00e4s\u00f8n Doe", "x", "c")
                         ->authorize({.method = "GET", .uri = "/"});
  EXPECT_THAT(plain.value(), HasSubstr("Digest username*=UTF-8''J%C3%A4s%C3%B8n%20Doe, "));
}

TEST(Digest, quotesWhatIsQuoted) {
  const auto asked = proto::parse_challenges("Digest realm=\"a\\\"b\\\\\", nonce=n, qop=auth", 1);
  auto session = DigestSession::begin(asked.at(0), "a\"b", "p", "c");
  ASSERT_TRUE(session);
  const std::string field = session->authorize({.method = "GET", .uri = "/"}).value();
  EXPECT_THAT(field, HasSubstr("username=\"a\\\"b\", realm=\"a\\\"b\\\\\", "));
}

TEST(Digest, answersNothingThatItDoesNotKnow) {
  EXPECT_EQ(answer(challenge("SHA-1")), "none");
  EXPECT_EQ(answer(challenge("MD5", "")), "none") << "RFC 2069";
  EXPECT_EQ(answer(challenge("MD5", "qop=other")), "none");
  EXPECT_EQ(answer(proto::parse_challenges("Digest realm=a, qop=auth", 1).at(0)), "none");
  EXPECT_EQ(answer(proto::parse_challenges("Basic realm=a, nonce=b, qop=auth", 1).at(0)), "none");
  EXPECT_LT(digest_strength(challenge("MD5")), digest_strength(challenge("MD5-sess")));
  EXPECT_LT(digest_strength(challenge("MD5-sess")), digest_strength(challenge("SHA-256")));
  EXPECT_LT(digest_strength(challenge("SHA-256")), digest_strength(challenge("SHA-256-sess")));
}

}  // namespace
}  // namespace rondo::http::detail
