#include "engine/io/safetensors_header.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <unordered_set>

#include "engine/io/crc32.h"
#include "engine/io/file_error.h"

namespace mld::safetensors {
namespace {

// Event handler for nlohmann::json::sax_parse. A departure from the grammar stops the parse; what leaves the
// rest readable (a duplicate, a missing member) is noted and passed over.
class HeaderReader {
 public:
  using Json = nlohmann::json;

  HeaderReader(Header& header, Problems& problems) : header_(header), problems_(problems) {}

  bool start_object(std::size_t) {
    if (at_ == At::start) return enter(At::root);
    if (at_ != At::root) return refuse("an object");
    if (key_ == kMetadataName) return enter(At::metadata);
    tensor_ = {};
    tensor_.name = key_;
    has_dtype_ = has_shape_ = has_offsets_ = false;
    return enter(At::tensor);
  }

  bool key(std::string& name) {
    key_ = name;
    if (at_ == At::root && !names_.insert(name).second)
      problems_.add("header: ", quote(name), " appears twice");
    if (at_ == At::metadata && header_.metadata.contains(name))
      problems_.add("header: metadata ", quote(name), " appears twice");
    if (at_ == At::tensor) {
      bool* seen = name == "dtype"          ? &has_dtype_
                   : name == "shape"        ? &has_shape_
                   : name == "data_offsets" ? &has_offsets_
                                            : nullptr;
      if (seen == nullptr) return stop("tensor ", quote(tensor_.name), ": unknown member ", quote(name));
      if (*seen) return stop("tensor ", quote(tensor_.name), ": member ", quote(name), " appears twice");
      *seen = true;
    }
    return true;
  }

  bool end_object() {
    if (at_ == At::root) return enter(At::end);
    if (at_ == At::tensor) {
      if (has_dtype_ && has_shape_ && has_offsets_) {
        header_.tensors.push_back(std::move(tensor_));
      } else {
        problems_.add("tensor ", quote(tensor_.name), ": dtype, shape or data_offsets is missing");
      }
    }
    return enter(At::root);
  }

  bool start_array(std::size_t) {
    if (at_ == At::tensor && key_ == "shape") return enter(At::shape);
    if (at_ == At::tensor && key_ == "data_offsets") return enter(At::offsets);
    return refuse("a list");
  }
  bool end_array() { return enter(At::tensor); }

  bool string(std::string& value) {
    if (at_ == At::metadata) {
      header_.metadata[key_] = value;
      return true;
    }
    if (at_ != At::tensor || key_ != "dtype") return refuse("a string");
    tensor_.dtype = value;
    return true;
  }

  bool number_unsigned(std::uint64_t value) {
    if (at_ != At::shape && at_ != At::offsets) return refuse("a number");
    auto& list = at_ == At::shape ? tensor_.shape : tensor_.offsets;
    // One more than can be right is enough to see that it is wrong.
    if (list.size() <= static_cast<std::size_t>(Shape::kMaxRank)) list.push_back(value);
    return true;
  }

  bool number_integer(std::int64_t) { return refuse("a negative number"); }
  bool number_float(double, const std::string&) { return refuse("a number that is no unsigned integer"); }
  bool null() { return refuse("null"); }
  bool boolean(bool) { return refuse("a boolean"); }
  bool binary(Json::binary_t&) { return refuse("binary data"); }
  bool parse_error(std::size_t position, const std::string&, const Json::exception&) {
    return stop("header: not valid JSON at byte ", position);
  }

 private:
  enum class At { start, root, metadata, tensor, shape, offsets, end };

  bool enter(At at) {
    at_ = at;
    return true;
  }
  template <class... Parts>
  bool stop(Parts&&... parts) {
    problems_.add(std::forward<Parts>(parts)...);
    return false;
  }
  bool refuse(const char* found) {
    switch (at_) {
      case At::start:
      case At::end:
        return stop("header: is ", found, " and not an object");
      case At::root:
        return stop("header: ", quote(key_), " is ", found, " and not an object");
      case At::metadata:
        return stop("header: metadata ", quote(key_), " is ", found, " and not a string");
      case At::tensor:
        return stop("tensor ", quote(tensor_.name), ": ", key_, " is ", found, " and not a ",
                    key_ == "dtype" ? "string" : "list of unsigned integers");
      case At::shape:
      case At::offsets:
        return stop("tensor ", quote(tensor_.name), ": ", key_, " contains ", found,
                    " and not unsigned integers only");
    }
    return false;
  }

  Header& header_;
  Problems& problems_;
  At at_ = At::start;
  std::string key_;
  Entry tensor_;
  bool has_dtype_ = false, has_shape_ = false, has_offsets_ = false;
  std::unordered_set<std::string> names_;
};

}  // namespace

std::string Problems::text() const {
  if (count_ == 1) return list_;
  const bool cut = count_ > 20;
  return cat(count_, " problems", cut ? " (the first 20)" : "", ": ", list_);
}

Header parse_header(std::string_view json, Problems& problems) {
  Header header;
  if (!json.starts_with('{')) {
    problems.add("header: does not begin with '{'");
    return header;
  }
  HeaderReader reader(header, problems);
  nlohmann::json::sax_parse(json, &reader);
  return header;
}

const char* dtype_code(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return "F32";
    case DType::f64:
      return "F64";
    case DType::i32:
      return "I32";
    case DType::u8:
      return "U8";
  }
  return "?";
}

std::uint32_t content_crc(std::span<const TensorInfo> tensors, const std::map<std::string, std::string>& crcs,
                          const Metadata& metadata) {
  std::vector<const TensorInfo*> sorted;
  for (const TensorInfo& tensor : tensors) sorted.push_back(&tensor);
  std::ranges::sort(sorted, {}, &TensorInfo::name);
  std::uint32_t crc = 0;
  const auto add = [&](const std::string& text) {
    crc = crc32(std::as_bytes(std::span(text.c_str(), text.size() + 1)), crc);
  };
  for (const TensorInfo* tensor : sorted) {
    add(tensor->name);
    add(dtype_code(tensor->dtype));
    add(tensor->shape.str());
    add(crcs.at(tensor->name));
  }
  for (const auto& [key, value] : metadata) {
    add(key);
    add(value);
  }
  return crc;
}

}  // namespace mld::safetensors
