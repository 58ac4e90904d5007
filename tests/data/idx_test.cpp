#include "data/formats/idx.h"

#include <doctest/doctest.h>

#include "data/formats/gzip.h"
#include "tests/data/files.h"
#include "tests/data/fixtures.h"

using namespace mld;
using namespace mld::data;
using namespace mld::test;

namespace {

const Bytes kPlain{0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4, 5, 255};

void check_rejected(const Bytes& bytes, std::initializer_list<std::string> words) {
  check_error(ErrorKind::data, words, [&] { parse_idx(bytes, "digits-idx"); });
}

}  // namespace

TEST_CASE("idx: plain bytes") {
  const IdxArray array = parse_idx(kPlain, "f");
  CHECK(array.shape == Shape{2, 3});
  CHECK(array.values == Bytes{1, 2, 3, 4, 5, 255});
}

TEST_CASE("idx: gzip, and several members one after the other") {
  const IdxArray array = parse_idx(kIdxGzip, "f");
  CHECK(array.shape == Shape{2, 2, 3});
  CHECK(array.values == Bytes{10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21});

  Bytes twice = kIdxGzip;
  twice.insert(twice.end(), kIdxGzip.begin(), kIdxGzip.end());
  const Bytes once = gunzip(kIdxGzip, 1000, "f"), both = gunzip(twice, 1000, "f");
  REQUIRE(both.size() == 2 * once.size());
  CHECK(Bytes(both.begin(), both.begin() + static_cast<std::ptrdiff_t>(once.size())) == once);
  CHECK(Bytes(both.begin() + static_cast<std::ptrdiff_t>(once.size()), both.end()) == once);
}

TEST_CASE("idx: from a file") {
  const TempFolder folder;
  write_bytes(folder / "x.gz", kIdxGzip);
  CHECK(read_idx(folder / "x.gz").shape == Shape{2, 2, 3});
  check_error(ErrorKind::data, {"none.gz", "no such file"}, [&] { read_idx(folder / "none.gz"); });
}

TEST_CASE("idx: truncated at any byte, or with one byte too many") {
  for (std::size_t size = 0; size < kPlain.size(); ++size)
    check_rejected(Bytes(kPlain.begin(), kPlain.begin() + static_cast<std::ptrdiff_t>(size)), {"digits-idx"});
  Bytes longer = kPlain;
  longer.push_back(0);
  check_rejected(longer, {"needs 6 bytes", "found 7"});
}

TEST_CASE("idx: wrong magic, type, rank and extents") {
  const auto with = [](std::size_t at, std::uint8_t value) {
    Bytes bytes = kPlain;
    bytes[at] = value;
    return bytes;
  };
  check_rejected(with(0, 1), {"magic"});
  check_rejected(with(2, 0x0d), {"type 13"});
  check_rejected(with(3, 0), {"rank 0"});
  check_rejected(with(3, 7), {"rank 7"});
  check_rejected(with(7, 0), {"extent 0"});
  check_rejected({0, 0, 8, 2, 0x7f, 0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff, 1}, {"needs", "found 1"});
  check_rejected({0, 0, 8, 3, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1},
                 {"extent"});
}

TEST_CASE("gzip: truncated, corrupt, and larger than allowed") {
  const Bytes good = kIdxGzip;
  for (std::size_t size = 2; size < good.size(); ++size)
    check_rejected(Bytes(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(size)), {"digits-idx"});
  Bytes bad = good;
  bad[bad.size() - 8] ^= 1;  // the checksum
  check_rejected(bad, {"corrupt"});
  check_error(ErrorKind::data, {"more than 27 bytes"}, [&] { gunzip(good, 27, "f"); });
  CHECK(gunzip(good, 28, "f").size() == 28);
}
