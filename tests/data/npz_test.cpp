// .npz files: what NumPy writes, and every way to be damaged.
#include "data/formats/npz.h"

#include <doctest/doctest.h>

#include "tests/data/fixtures.h"
#include "tests/data/mnist_fixture.h"

using namespace mld;
using namespace mld::data;
using namespace mld::test;

namespace {

struct File {
  TempFolder folder;
  fs::path path = folder / "some.npz";

  template <class B>
  NpzFile open(const B& bytes) const {
    write_bytes(path, bytes);
    return NpzFile(path);
  }
  void check_rejected(const std::string& bytes, std::initializer_list<std::string> words) const {
    check_error(ErrorKind::data, words, [&] { open(bytes).array("a"); });
  }
};

}  // namespace

TEST_CASE("npz: the arrays of NumPy's savez and savez_compressed") {
  const File file;
  if (!have_zip()) {
    check_error(ErrorKind::usage, {"libzip"}, [&] { NpzFile{file.path}; });
    return;
  }
  for (const Bytes& bytes : {kNpz, kNpzPacked}) {
    const NpzFile npz = file.open(bytes);
    CHECK(npz.names() == std::vector<std::string>{"a", "b"});
    const NpyArray a = npz.array("a"), b = npz.array("b");
    CHECK(a.shape() == Shape{2, 2});
    CHECK(a.type() == NpyType{'i', 1});
    Ints integers(4);
    a.copy<std::int32_t>(0, integers);
    CHECK(integers == Ints{1, -2, 3, 4});
    Reals reals(3);
    b.copy<float>(2, reals);
    CHECK(reals == Reals{2, 3, 4});
    check_error(ErrorKind::data, {"some.npz", "no array 'c'", "a, b"}, [&] { npz.array("c"); });
  }
}

TEST_CASE("npz: files that are damaged, or something else") {
  if (!have_zip()) return;
  const File file;
  const std::string good(kNpzPacked.begin(), kNpzPacked.end()), array = npy<float>({'f', 4}, {2}, {1, 2});
  check_error(ErrorKind::data, {"some.npz", "no such file"}, [&] { NpzFile{file.path}; });
  check_error(ErrorKind::data, {"not a regular file"}, [&] { NpzFile{file.folder.path()}; });
  file.check_rejected("", {"some.npz", "not a readable .npz"});
  file.check_rejected("not a zip file, but long enough to be one", {"some.npz", "not a readable .npz"});
  file.check_rejected(good.substr(0, good.size() / 2), {"some.npz", "not a readable .npz"});
  file.check_rejected(zip_of({{"b.npy", array}}), {"no array 'a'", "it has b"});
  file.check_rejected(zip_of({{"a", array}}), {"no array 'a'"});
  file.check_rejected(zip_of({{"a.npy", "text"}}), {"some.npz:a.npy", "not a .npy file"});
  file.check_rejected(zip_of({{"a.npy", array.substr(0, array.size() - 1)}}),
                      {"some.npz:a.npy", "truncated"});
  CHECK(file.open(zip_of({{"a.npy", array}})).array("a").shape() == Shape{2});
  // A bit of the content flipped, in the middle of the packed one and at the end of the stored one.
  std::string flipped = good;
  flipped[80] = static_cast<char>(flipped[80] ^ 1);
  file.check_rejected(flipped, {"some.npz:a.npy", "truncated or corrupt"});
  const std::string plain = zip_of({{"a.npy", array}});
  std::string other = plain;
  other[plain.find("PK\x01\x02") - 1] = '!';
  file.check_rejected(other, {"some.npz:a.npy", "truncated or corrupt"});
  // A size that the packed bytes cannot have.
  std::string promise = good;
  const std::size_t entry = good.find("PK\x01\x02");
  promise.replace(entry + 24, 4, "\xff\xff\xff\x7f");
  file.check_rejected(promise, {"some.npz:a.npy", "promises"});
}
