#include "data/formats/npz.h"

#include <limits>
#include <utility>

#include "data/formats/gzip.h"
#include "engine/base/error.h"
#include "engine/base/names.h"
#include "engine/io/file_error.h"
#include "engine/io/files.h"

#ifdef MLD_HAVE_ZIP
#include <zip.h>
#endif

namespace mld::data {

#ifdef MLD_HAVE_ZIP

namespace {

constexpr std::string_view kEnding = ".npy";

struct CloseEntry {
  void operator()(zip_file_t* file) const { zip_fclose(file); }
};

std::string text_of(zip_error_t error) {
  std::string text = zip_error_strerror(&error);
  zip_error_fini(&error);
  return text;
}

}  // namespace

struct NpzFile::Archive {
  std::string path;
  zip_t* zip = nullptr;

  explicit Archive(const std::filesystem::path& file) : path(file.string()) {
    open_to_read(file, ErrorKind::data);  // says what is wrong with a path
    int code = 0;
    zip = zip_open(path.c_str(), ZIP_RDONLY, &code);
    if (zip != nullptr) return;
    zip_error_t error;
    zip_error_init_with_code(&error, code);
    fail(ErrorKind::data, path, ": not a readable .npz file: ", text_of(error), "; fetch or save it again");
  }
  ~Archive() { zip_discard(zip); }
  Archive(const Archive&) = delete;
  Archive& operator=(const Archive&) = delete;
};

bool have_zip() { return true; }

NpzFile::NpzFile(const std::filesystem::path& path) : archive_(std::make_unique<Archive>(path)) {}

std::vector<std::string> NpzFile::names() const {
  std::vector<std::string> names;
  const zip_int64_t count = zip_get_num_entries(archive_->zip, 0);
  for (zip_int64_t i = 0; i < count; ++i) {
    const char* const entry = zip_get_name(archive_->zip, static_cast<zip_uint64_t>(i), 0);
    const std::string_view name = entry != nullptr ? entry : "";
    if (name.ends_with(kEnding)) names.emplace_back(name.substr(0, name.size() - kEnding.size()));
  }
  return names;
}

NpyArray NpzFile::array(const std::string& name) const {
  const std::string entry = cat(name, kEnding), where = cat(archive_->path, ":", entry);
  zip_stat_t status;
  zip_stat_init(&status);
  const bool found = zip_stat(archive_->zip, entry.c_str(), 0, &status) == 0;
  MLD_CHECK_AS(ErrorKind::data, found, archive_->path, ": no array ", quote(name), "; it has ",
               join(names()));
  // A small hostile file may promise any size.
  constexpr auto kRatio = static_cast<zip_uint64_t>(kMaxInflateRatio);
  MLD_CHECK_AS(
      ErrorKind::data,
      status.size <= std::numeric_limits<zip_uint64_t>::max() / 2 && status.size / kRatio <= status.comp_size,
      where, ": promises ", status.size, " bytes in ", status.comp_size, "; fetch or save it again");
  const std::unique_ptr<zip_file_t, CloseEntry> file(zip_fopen_index(archive_->zip, status.index, 0));
  MLD_CHECK_AS(ErrorKind::data, file != nullptr, where, ": ", zip_strerror(archive_->zip));
  std::vector<std::uint8_t> bytes(static_cast<std::size_t>(status.size));
  const zip_int64_t got = zip_fread(file.get(), bytes.data(), bytes.size());
  std::uint8_t beyond = 0;  // reading to the end compares the checksum
  const bool whole = std::cmp_equal(got, bytes.size()) && zip_fread(file.get(), &beyond, 1) == 0;
  MLD_CHECK_AS(ErrorKind::data, whole, where, ": truncated or corrupt (", zip_file_strerror(file.get()),
               "); fetch or save it again");
  return {where, std::move(bytes)};
}

#else

struct NpzFile::Archive {};

bool have_zip() { return false; }

NpzFile::NpzFile(const std::filesystem::path& path) {
  fail(ErrorKind::usage, path.string(),
       ": this build has no libzip, which .npz files need; install it and build again");
}

std::vector<std::string> NpzFile::names() const { return {}; }

NpyArray NpzFile::array(const std::string&) const { return {}; }

#endif

NpzFile::~NpzFile() = default;
NpzFile::NpzFile(NpzFile&&) noexcept = default;
NpzFile& NpzFile::operator=(NpzFile&&) noexcept = default;

}  // namespace mld::data
