// Numeric arrays out of MATLAB level 5 files (".mat" saved with -v6 or -v7, the format of the SVHN crops),
// after MathWorks' "MAT-File Format" document. Our own reader rather than a library: it needs one array class
// and two wrappers of that format, streams the decompression straight into the result, and checks every size
// before it allocates. Cells, structures, sparse, complex and character arrays are skipped or refused,
// version 7.3 (HDF5) too.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "data/formats/npy.h"
#include "engine/base/shape.h"

namespace mld::data {

struct MatArray {
  std::string name;
  Shape shape;   // as MATLAB states it; the elements are column-major (first axis fastest)
  NpyType type;  // of the bytes as stored, which MATLAB may choose smaller than the array's class
  std::vector<std::uint8_t> bytes;  // shape.numel() elements

  double value(std::int64_t i) const;
};

// The arrays called `keys`, in that order. `name` starts every message; anything wrong, and a key that is not
// there, is an ErrorKind::data error.
std::vector<MatArray> parse_mat(std::span<const std::uint8_t> file, const std::string& name,
                                std::span<const std::string> keys);
std::vector<MatArray> read_mat(const std::filesystem::path& path, std::span<const std::string> keys);

}  // namespace mld::data
