// MNIST's files and .npz files, made for one test.
#pragma once

#include <initializer_list>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "data/formats/npy.h"
#include "engine/io/crc32.h"
#include "tests/data/files.h"

namespace mld::test {

inline Bytes idx(std::initializer_list<std::uint8_t> extents, const Bytes& values) {
  Bytes bytes{0, 0, 8, static_cast<std::uint8_t>(extents.size())};
  for (std::uint8_t extent : extents) bytes.insert(bytes.end(), {0, 0, 0, extent});
  bytes.insert(bytes.end(), values.begin(), values.end());
  return bytes;
}

// Image i is filled with the byte 10 + i.
inline Bytes mnist_images(std::uint8_t count) {
  Bytes values;
  for (std::uint8_t i = 0; i < count; ++i)
    values.insert(values.end(), 28 * 28, static_cast<std::uint8_t>(10 + i));
  return idx({count, 28, 28}, values);
}

template <class T>
std::string npy(data::NpyType type, const Shape& shape, const std::vector<T>& values) {
  return data::npy_header(type, shape)
      .append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
}

// A ZIP file whose entries are not compressed.
inline std::string zip_of(const std::vector<std::pair<std::string, std::string>>& entries) {
  const auto number = [](std::size_t value, int bytes) {
    std::string text;
    for (int i = 0; i < bytes; ++i) text += static_cast<char>(value >> (8 * i) & 0xff);
    return text;
  };
  std::string file, directory;
  for (const auto& [name, content] : entries) {
    // Version 2.0, no flags, stored, no time; checksum and sizes; lengths of the name and of nothing else.
    const std::string common =
        number(20, 2) + number(0, 8) + number(crc32(std::as_bytes(std::span(content))), 4) +
        number(content.size(), 4) + number(content.size(), 4) + number(name.size(), 2) + number(0, 2);
    directory += "PK\x01\x02" + number(20, 2) + common + number(0, 10) + number(file.size(), 4) + name;
    file += "PK\x03\x04" + common + name + content;
  }
  const std::size_t count = entries.size(), at = file.size();
  return file + directory + "PK\x05\x06" + number(0, 4) + number(count, 2) + number(count, 2) +
         number(directory.size(), 4) + number(at, 4) + number(0, 2);
}

}  // namespace mld::test
