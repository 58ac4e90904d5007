// Questions to the file system and their errors: engine/io/files.h.
#include "engine/io/files.h"

#include <doctest/doctest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <functional>

#include "tests/expect_error.h"
#include "tests/temp_folder.h"

namespace {

using mld::ErrorKind;
using mld::test::contains;
using mld::test::error_of;
using mld::test::TempFolder;
using mld::test::write_bytes;

void make_socket(const std::filesystem::path& path) {
  const mld::Descriptor fd(::socket(AF_UNIX, SOCK_STREAM, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.string().copy(address.sun_path, sizeof address.sun_path - 1);
  REQUIRE(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
}

}  // namespace

TEST_CASE("files: what exists, what is a folder") {
  const TempFolder at;
  write_bytes(at / "file", "text");
  std::filesystem::create_directory(at / "folder");
  std::filesystem::create_symlink("folder", at / "link");
  std::filesystem::create_symlink("nothing", at / "dangling");
  for (const char* name : {"file", "folder", "link", "link/", "."}) CHECK(mld::path_exists(at / name));
  for (const char* name : {"none", "none/below", "file/below", "dangling"}) {
    CHECK(!mld::path_exists(at / name));
    CHECK(!mld::is_folder(at / name));
  }
  CHECK(mld::is_folder(at / "link"));
  CHECK(!mld::is_folder(at / "file"));
  CHECK(mld::is_empty_folder(at / "folder"));
  CHECK(!mld::is_empty_folder(at.path()));
  CHECK(!mld::is_empty_folder(at / "none"));
}

TEST_CASE("files: what the system refuses is an io error that names the path") {
  const TempFolder at;
  std::filesystem::create_symlink("loop", at / "loop");
  const std::filesystem::path loop = at / "loop", long_name = at / std::string(300, 'x'),
                              below = at / "loop/a";
  for (const auto& path : {loop, long_name, below}) {
    const std::vector<std::function<void()>> calls{
        [&] { mld::path_exists(path); }, [&] { mld::is_folder(path); }, [&] { mld::list_folder(path); },
        [&] { mld::make_folder(path); }, [&] { mld::flush_folder(path); }};
    for (const auto& call : calls)
      CHECK(contains(error_of(ErrorKind::io, call), path.string() + ": cannot "));
  }
  error_of(ErrorKind::io, [&] { mld::list_folder(at / "none"); });
  if (::geteuid() == 0) return;  // who may do everything
  std::filesystem::create_directories(at / "closed/sub");
  ::chmod((at / "closed").c_str(), 0);
  CHECK(contains(error_of(ErrorKind::io, [&] { mld::list_folder(at / "closed"); }), "check the permissions"));
  error_of(ErrorKind::io, [&] { mld::path_exists(at / "closed/sub"); });
  error_of(ErrorKind::io, [&] { mld::make_folder(at / "closed/new"); });
  ::chmod((at / "closed").c_str(), 0700);
}

TEST_CASE("files: folders are listed in order, made with their parents, removed with their content") {
  const TempFolder at;
  const auto made = mld::make_folder(at / "a/b/c/");
  REQUIRE(made.size() == 3);
  CHECK(made.front() == at / "a");
  CHECK(mld::make_folder(at / "a/b/c").empty());
  for (const char* name : {"z", "a", ".hidden"}) write_bytes(at / "a" / name, "");
  std::vector<std::string> names;
  for (const auto& path : mld::list_folder(at / "a")) names.push_back(path.filename());
  CHECK(names == std::vector<std::string>{".hidden", "a", "b", "z"});
  write_bytes(at / "file", "");
  error_of(ErrorKind::io, [&] { mld::make_folder(at / "file"); });
  error_of(ErrorKind::io, [&] { mld::make_folder(at / "file/below"); });
  std::filesystem::create_directory_symlink("a", at / "link");
  mld::flush_tree(at.path());
  mld::remove_tree(at / "link");
  CHECK(mld::is_folder(at / "a/b/c"));
  mld::remove_tree(at / "a");
  mld::remove_tree(at / "a");
  CHECK(at.listing() == "file ");
}

TEST_CASE("files: only regular files are read, and nothing is waited for") {
  const TempFolder at;
  write_bytes(at / "file", "some text");
  CHECK(mld::read_file(at / "file", ErrorKind::data) == "some text");
  CHECK(contains(error_of(ErrorKind::usage, [&] { mld::read_file(at / "file", ErrorKind::usage, 8); }),
                 "has 9 bytes, expected at most 8"));
  CHECK(contains(error_of(ErrorKind::model, [&] { mld::read_file(at / "none", ErrorKind::model); }),
                 "no such file"));
  ::mkfifo((at / "fifo").c_str(), 0600);
  make_socket(at / "socket");
  struct Row {
    std::filesystem::path path;
    const char* what;
  };
  for (const Row& row : {Row{at / "fifo", "a FIFO"}, Row{at / "socket", "a socket"},
                         Row{at.path(), "a folder"}, Row{"/dev/null", "a device"}})
    CHECK(contains(error_of(ErrorKind::data, [&] { mld::read_file(row.path, ErrorKind::data); }),
                   mld::cat(row.path.string(), ": not a regular file but ", row.what)));
}
