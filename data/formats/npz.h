// NumPy's .npz: a ZIP file with one .npy for each array (numpy.savez, numpy.savez_compressed). Read through
// libzip; built without it, opening one fails with an ErrorKind::usage error that names it.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "data/formats/npy.h"

namespace mld::data {

bool have_zip();

class NpzFile {
 public:
  // ErrorKind::data for what is no ZIP file, or a truncated one.
  explicit NpzFile(const std::filesystem::path& path);
  ~NpzFile();
  NpzFile(NpzFile&&) noexcept;
  NpzFile& operator=(NpzFile&&) noexcept;

  std::vector<std::string> names() const;  // of the arrays, without ".npy"

  // The array of that name, decompressed, called "PATH:NAME.npy" in messages. ErrorKind::data if there is none
  // (the message lists those there are), if its checksum is wrong or if it is no .npy.
  NpyArray array(const std::string& name) const;

 private:
  struct Archive;
  std::unique_ptr<Archive> archive_;
};

}  // namespace mld::data
