// A folder of the user's arrays, made for one test.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "data/formats/npy.h"
#include "data/importers/import.h"
#include "data/store/store.h"
#include "tests/data/files.h"

namespace mld::test {

using namespace data;

template <class T>
void write_npy(const fs::path& path, NpyType type, const Shape& shape, const std::vector<T>& values) {
  REQUIRE(static_cast<std::size_t>(shape.numel()) == values.size());
  std::string text = npy_header(type, shape);
  text.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
  write_bytes(path, text);
}

inline void write_floats(const fs::path& path, const Shape& shape, const Reals& values) {
  write_npy(path, {'f', 4}, shape, values);
}

inline void write_ints(const fs::path& path, const Shape& shape, const Ints& values) {
  write_npy(path, {'i', 4}, shape, values);
}

struct Arrays {
  TempFolder folder;
  fs::path in = folder / "mine", out = folder / "out";
  mutable std::vector<std::string> notes;  // of the last import()

  Store import(const NpyImport& options = {}) const {
    notes = import_npy(in, out, options);
    Store store = Store::open(out);
    store.validate();
    return store;
  }
  void check_rejected(ErrorKind kind, std::initializer_list<std::string> words,
                      const NpyImport& options = {}) const {
    check_error(kind, words, [&] { import_npy(in, out, options); });
    CHECK_FALSE(fs::exists(out));
  }
};

}  // namespace mld::test
