#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "engine/base/precision.h"
#include "tests/devices.h"

int main(int argc, char** argv) {
  const char* required = std::getenv("MLDTEST_REQUIRE_CUDA");
  if (!mld::test::has_cuda()) {
    std::fprintf(stderr, "tests: no cuda device, its cases are skipped\n");
    if (required && std::strcmp(required, "1") == 0) {
      std::fprintf(stderr, "tests: MLDTEST_REQUIRE_CUDA=1 asks for one\n");
      return 1;
    }
  }
  // Comparisons with the cpu are in its precision; tests of others set them.
  mld::set_precision(mld::Precision::fp32);
  return doctest::Context(argc, argv).run();
}
