// SPDX-License-Identifier: Apache-2.0
// Certificates: an authority of the test's own and what it signs, as PEM files in a folder that
// goes with it.
//
//   Certificates made;
//   Identity site = made.sign("site", {.names = {"example.org"}});   // files and all
//   made.authority();                                                // for authorities_file
//
// Keys are P-256: fast enough to make some for each test. Thread rule: one thread.
#pragma once

#include <gtest/gtest.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <filesystem>
#include <string>
#include <vector>

#include "rondo/tls/context.hpp"

namespace rondo::testing {

struct CertificatePlan {
  std::vector<std::string> names;      ///< DNS names
  std::vector<std::string> addresses = {};
  long begins = -3'600;                ///< seconds from now
  long ends = 86'400;
};

class Certificates {
 public:
  Certificates() {
    static int number = 0;
    folder_ = std::filesystem::temp_directory_path() /
              ("rondo-certificates-" + std::to_string(::getpid()) + "-" + std::to_string(++number));
    std::filesystem::create_directories(folder_);
    authority_key_ = EVP_EC_gen("P-256");
    authority_ = make("Test Authority", authority_key_, {.names = {}}, true);
    put("authority.pem", authority_);
  }
  Certificates(const Certificates&) = delete;
  ~Certificates() {
    X509_free(authority_);
    EVP_PKEY_free(authority_key_);
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }

  std::string file(const std::string& name) const { return folder_ / name; }
  std::string authority() const { return file("authority.pem"); }

  /// A certificate and key signed by the authority, in NAME.pem and NAME.key.
  tls::Identity sign(const std::string& name, const CertificatePlan& plan) {
    EVP_PKEY* key = EVP_EC_gen("P-256");
    X509* certificate = make(name, key, plan, false);
    put(name + ".pem", certificate);
    std::FILE* out = std::fopen(file(name + ".key").c_str(), "w");
    PEM_write_PrivateKey(out, key, nullptr, nullptr, 0, nullptr, nullptr);
    std::fclose(out);
    X509_free(certificate);
    EVP_PKEY_free(key);
    return {.certificate_file = file(name + ".pem"), .key_file = file(name + ".key")};
  }

 private:
  void put(const std::string& name, X509* certificate) {
    std::FILE* out = std::fopen(file(name).c_str(), "w");
    PEM_write_X509(out, certificate);
    std::fclose(out);
  }
  static void extend(X509* certificate, int nid, const std::string& value) {
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509_EXTENSION* made = X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
    ASSERT_NE(made, nullptr) << value;
    X509_add_ext(certificate, made, -1);
    X509_EXTENSION_free(made);
  }
  X509* make(const std::string& name, EVP_PKEY* key, const CertificatePlan& plan, bool authority) {
    X509* made = X509_new();
    X509_set_version(made, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(made), ++serial_);
    X509_gmtime_adj(X509_getm_notBefore(made), plan.begins);
    X509_gmtime_adj(X509_getm_notAfter(made), plan.ends);
    X509_set_pubkey(made, key);
    X509_NAME* subject = X509_get_subject_name(made);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8,
                               reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
    X509_set_issuer_name(made, authority ? subject : X509_get_subject_name(authority_));
    extend(made, NID_basic_constraints, authority ? "critical,CA:TRUE" : "critical,CA:FALSE");
    std::string names;
    for (const std::string& each : plan.names) names += (names.empty() ? "DNS:" : ",DNS:") + each;
    for (const std::string& each : plan.addresses) names += (names.empty() ? "IP:" : ",IP:") + each;
    if (!names.empty()) extend(made, NID_subject_alt_name, names);
    X509_sign(made, authority ? key : authority_key_, EVP_sha256());
    return made;
  }

  std::filesystem::path folder_;
  EVP_PKEY* authority_key_ = nullptr;
  X509* authority_ = nullptr;
  long serial_ = 0;
};

}  // namespace rondo::testing
