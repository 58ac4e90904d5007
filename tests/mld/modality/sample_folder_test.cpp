// A folder of samples: its own files are replaced, others refused or kept, and nothing is
// lost before the end.
#include "mld/modality/sample_folder.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <algorithm>
#include <optional>

#include "tests/expect_error.h"
#include "tests/temp_folder.h"

namespace mld {
namespace {

namespace fs = std::filesystem;
using test::read_bytes;
using test::TempFolder;

const SampleFolder::Names kNames{{"sample.json", "grid.png", "image.npy"}, {"image"}};
constexpr const char* kRecord =
    R"({"model": "run", "samples": 2, "files": ["image.npy", "image/0000.png", "image/0001.png", "grid.png"]})";

void put(const fs::path& file, std::string_view text = "old") {
  fs::create_directories(file.parent_path());
  test::write_bytes(file, text);
}

// What the program of before left of a sampling.
void put_samples(const fs::path& folder, std::string_view record = kRecord) {
  for (const char* file : {"image.npy", "image/0000.png", "image/0001.png", "grid.png"}) put(folder / file);
  put(folder / "sample.json", record);
}

// A sampling of one picture.
void sample_into(const fs::path& folder, bool force = false) {
  SampleFolder to(folder, force, kNames);
  for (const char* file : {"image.npy", "image/0000.png", "grid.png"}) put(to.path() / file, "new");
  put(to.path() / "sample.json",
      R"({"model": "run", "samples": 1, "files": ["image.npy", "image/0000.png", "grid.png"]})");
  to.commit();
}

std::vector<std::string> files_in(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    if (!entry.is_directory()) names.push_back(fs::relative(entry.path(), folder).string());
  std::sort(names.begin(), names.end());
  return names;
}

const std::vector<std::string> kNew{"grid.png", "image.npy", "image/0000.png", "sample.json"};

void check_new(const fs::path& folder, std::vector<std::string> kept = {}) {
  std::vector<std::string> expected = kNew;
  expected.insert(expected.end(), kept.begin(), kept.end());
  std::sort(expected.begin(), expected.end());
  CHECK(files_in(folder) == expected);
  CHECK(read_bytes(folder / "image/0000.png") == "new");
  for (const std::string& name : kept) CHECK(read_bytes(folder / name) == "old");
}

void refused(const fs::path& folder, const std::string& part) {
  const auto before = files_in(folder);
  const std::string message = test::error_of(ErrorKind::busy, [&] { sample_into(folder); });
  CHECK_MESSAGE(test::contains(message, part), message);
  CHECK(files_in(folder) == before);
}

}  // namespace

TEST_CASE("samples replace earlier ones, and nothing of them stays") {
  const TempFolder folder;
  for (const char* name : {"missing", "a/b/missing", "empty", "again"}) {
    if (name == std::string("empty")) fs::create_directory(folder / name);
    if (name == std::string("again")) put_samples(folder / name);
    sample_into(folder / name);
    check_new(folder / name);
    sample_into(folder / name);
    check_new(folder / name);
  }
  // A modality's folder without pictures, and what a killed process left of a file.
  put(folder / "again/sample.json", R"({"model": "run", "samples": 2, "files": ["image.npy"]})");
  for (const char* name : {"grid.png", "image/0000.png"}) fs::remove(folder / "again" / name);
  put(folder / "again/.image.npy.tmp");
  put(folder / "again/.sample.json.tmp");
  sample_into(folder / "again");
  check_new(folder / "again");
  fs::create_directory_symlink(folder / "again", folder / "link");
  sample_into(folder / "link");
  CHECK(fs::is_symlink(folder / "link"));
  check_new(folder / "again");
  CHECK(folder.listing() == "a again empty link missing ");
}

TEST_CASE("what no sampling wrote is refused, and kept by --force") {
  const TempFolder folder;
  int number = 0;
  for (const char* name : {"notes.txt", ".hidden", "image/mine.png", "deep/er/file", "image.npy.bak",
                           "left.npy", ".grid.png.tmp2", "sample.json.old"}) {
    const fs::path at = folder / std::to_string(++number);
    put_samples(at);
    put(at / name);
    refused(at, std::string(name) == "deep/er/file" ? "holds 'deep'" : cat("holds '", name, "'"));
    sample_into(at, true);
    check_new(at, {name});
    refused(at, "no earlier sampling wrote");
  }
  const fs::path two = folder / "two";
  put(two / "a.txt");
  put(two / "b.txt");
  refused(two, "holds 'a.txt' and 1 more");
  fs::create_directory(folder / "inner");
  fs::create_directory(folder / "inner/nothing");
  refused(folder / "inner", "holds 'nothing'");
  sample_into(folder / "inner", true);
  CHECK(fs::is_directory(folder / "inner/nothing"));
}

TEST_CASE("a record that is none of ours owns nothing") {
  const TempFolder folder;
  int number = 0;
  for (const char* record : {"", "{", "null", "[]", "{}", R"({"files": ["image.npy"]})",
                             R"({"model": 1, "samples": 2, "files": 3})",
                             R"({"model": 1, "samples": 2, "files": [1, "image.npy"]})", "\xff\xfe"}) {
    const fs::path at = folder / std::to_string(++number);
    put_samples(at, record);
    refused(at, "which no earlier sampling wrote");
    sample_into(at, true);  // the same names are replaced, the rest stays
    check_new(at, {"image/0001.png"});
  }
  // Names that lead out of the folder own nothing there.
  put(folder / "outside.txt");
  const fs::path at = folder / "at";
  put_samples(at, R"({"model": "run", "samples": 2, "files": ["../outside.txt", "/etc/passwd", "image.npy",
    "image/0000.png", "./image/../image/0001.png", "grid.png"]})");
  sample_into(at);
  check_new(at);
  CHECK(read_bytes(folder / "outside.txt") == "old");
  // No file at all.
  fs::remove(at / "sample.json");
  fs::create_directory(at / "sample.json");
  refused(at, "which no earlier sampling wrote");
  fs::remove(at / "sample.json");
  REQUIRE(::mkfifo((at / "sample.json").c_str(), 0600) == 0);
  refused(at, "which no earlier sampling wrote");
}

TEST_CASE("a sampling that fails, or a second one, changes nothing") {
  const TempFolder folder;
  const fs::path at = folder / "at";
  put_samples(at);
  const auto before = files_in(at);
  {
    SampleFolder failing(at, false, kNames);
    put(failing.path() / "image.npy", "half");
    const std::string message = test::error_of(ErrorKind::busy, [&] { SampleFolder(at, false, kNames); });
    CHECK_MESSAGE(test::contains(message, "another process is writing this folder"), message);
  }
  CHECK(files_in(at) == before);
  CHECK(read_bytes(at / "image.npy") == "old");
  CHECK(folder.listing() == "at ");
  { SampleFolder failing(folder / "new/folder", false, kNames); }
  CHECK(folder.listing() == "at ");
  {
    SampleFolder late(at, false, kNames);
    put(late.path() / "sample.json", kRecord);
    put(at / "came.txt");  // while samples are drawn
    late.commit();
  }
  CHECK(read_bytes(at / "came.txt") == "old");
}

TEST_CASE("what cannot be written is known before") {
  const TempFolder folder;
  put(folder / "file");
  const auto fails = [&](ErrorKind kind, const fs::path& at, const std::string& part, bool force = false) {
    const std::string message = test::error_of(kind, [&] { SampleFolder(at, force, kNames); });
    CHECK_MESSAGE(test::contains(message, part), message);
  };
  fails(ErrorKind::io, folder / "file", "is not a folder");
  fails(ErrorKind::io, folder / "file/in", "file");
  fails(ErrorKind::io, "/dev/null/x", "/dev/null");
  fails(ErrorKind::io, "/proc/no/such", "/proc");
  if (::geteuid() != 0) {
    fs::create_directory(folder / "closed");
    fs::permissions(folder / "closed", fs::perms::owner_read | fs::perms::owner_exec);
    fails(ErrorKind::io, folder / "closed", "check the permissions");
    fails(ErrorKind::io, folder / "closed/in", "check the permissions");
  }
  fs::create_directories(folder / "taken/image.npy");
  fails(ErrorKind::busy, folder / "taken", "'image.npy' is a folder", true);
  put(folder / "flat/image");
  fails(ErrorKind::busy, folder / "flat", "'image' is no folder", true);

  const SampleFolder room(folder / "room", false, kNames);
  CHECK_NOTHROW(room.check_room(1000, 1000));
  const std::string message =
      test::error_of(ErrorKind::io, [&] { room.check_room(std::int64_t{1} << 60, 1000); });
  CHECK_MESSAGE(test::contains(message, "the samples need 1152921504.6 GB, and the disk has "), message);
}

}  // namespace mld
