#include "tests/engine/gradcheck.h"

#include <doctest/doctest.h>
#include <algorithm>
#include <string>

namespace mld {

TEST_CASE("every operator has a gradient check") {
  const test::CaseList cases = test::all_grad_cases();
  for (const Op op : kAllOps) {
    if (op == Op::leaf) continue;
    INFO(std::string(op_name(op)));
    CHECK(std::any_of(cases.begin(), cases.end(), [op](const test::GradCase& c) { return c.op == op; }));
  }
}

TEST_CASE("gradients agree with central differences, on every device and in float") {
  for (const test::GradCase& c : test::all_grad_cases()) test::check_gradients(c);
}

}  // namespace mld
