// What tests read a report with: its elements, the pictures inside, the points of its curves.
#pragma once

#include <doctest/doctest.h>
#include <zlib.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "tests/expect_error.h"

namespace mld::test {

struct Element {
  std::string name;
  std::map<std::string, std::string> attributes;
  std::string text;  // of its own, without that of elements inside
};

inline std::string unescape(std::string text) {
  for (const auto& [entity, plain] : std::map<std::string, std::string>{
           {"&lt;", "<"}, {"&gt;", ">"}, {"&quot;", "\""}, {"&#39;", "'"}, {"&amp;", "&"}})
    for (std::size_t at = 0; (at = text.find(entity, at)) != std::string::npos; at += plain.size())
      text.replace(at, entity.size(), plain);
  return text;
}

// A strict reader of what reports are written in: every element closed in its order, attributes in double
// quotes and never twice, no stray < or &.
class Document {
 public:
  explicit Document(const std::string& text) : text_(text) {
    REQUIRE(text_.starts_with("<!DOCTYPE html>\n"));
    at_ = text_.find('\n') + 1;
    std::vector<std::size_t> open;
    while (at_ < text_.size()) {
      if (text_[at_] == '<')
        tag(open);
      else
        words(open);
    }
    CHECK(open.empty());
  }

  std::vector<Element> all(const std::string& name) const {
    std::vector<Element> found;
    std::ranges::copy_if(elements_, std::back_inserter(found),
                         [&](const Element& e) { return e.name == name; });
    return found;
  }
  bool has(const std::string& name, const std::string& text) const {
    return std::ranges::any_of(all(name), [&](const Element& e) { return contains(e.text, text); });
  }
  const std::vector<Element>& elements() const { return elements_; }

 private:
  void words(const std::vector<std::size_t>& open) {
    const std::size_t end = std::min(text_.find('<', at_), text_.size());
    const std::string words = text_.substr(at_, end - at_);
    for (std::size_t i = 0; (i = words.find('&', i)) != std::string::npos; ++i)
      CHECK_MESSAGE(std::min(words.find(';', i), i + 7) < i + 7, words.substr(i, 20));
    if (!open.empty()) elements_[open.back()].text += unescape(words);
    at_ = end;
  }

  void tag(std::vector<std::size_t>& open) {
    const std::size_t end = text_.find('>', at_);
    REQUIRE(end != std::string::npos);
    std::string inside = text_.substr(at_ + 1, end - at_ - 1);
    at_ = end + 1;
    CHECK(inside.find('<') == std::string::npos);
    if (inside.starts_with('/')) {
      REQUIRE(!open.empty());
      REQUIRE(elements_[open.back()].name == inside.substr(1));
      open.pop_back();
      return;
    }
    const bool empty = inside.ends_with('/');
    if (empty) inside.pop_back();
    Element element;
    std::size_t i = std::min(inside.find(' '), inside.size());
    element.name = inside.substr(0, i);
    while (i < inside.size()) {
      ++i;
      const std::size_t equals = inside.find("=\"", i), quote = inside.find('"', equals + 2);
      REQUIRE(quote != std::string::npos);
      const bool fresh =
          element.attributes
              .emplace(inside.substr(i, equals - i), unescape(inside.substr(equals + 2, quote - equals - 2)))
              .second;
      CHECK(fresh);
      i = quote + 1;
      REQUIRE((i == inside.size() || inside[i] == ' '));
    }
    elements_.push_back(element);
    if (!empty) open.push_back(elements_.size() - 1);
  }

  const std::string& text_;
  std::size_t at_ = 0;
  std::vector<Element> elements_;
};

inline std::string decoded(const std::string& uri, const std::string& type) {
  const std::string head = "data:" + type + ";base64,";
  REQUIRE(uri.starts_with(head));
  const std::string digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  REQUIRE((uri.size() - head.size()) % 4 == 0);
  std::string out;
  std::uint32_t group = 0;
  int bits = 0;
  for (std::size_t i = head.size(); i < uri.size() && uri[i] != '='; ++i) {
    const std::size_t digit = digits.find(uri[i]);
    REQUIRE(digit != std::string::npos);
    group = group << 6U | static_cast<std::uint32_t>(digit);
    bits += 6;
    if (bits >= 8) out += static_cast<char>(group >> (bits -= 8) & 255U);
  }
  return out;
}

inline std::uint32_t big(const std::string& bytes, std::size_t at) {
  std::uint32_t value = 0;
  for (std::size_t k = 0; k < 4; ++k) value = value << 8U | static_cast<unsigned char>(bytes[at + k]);
  return value;
}

// Width and height of a PNG whose checksums are right and whose rows unpack to the size they should have.
inline std::pair<std::uint32_t, std::uint32_t> png_size(const std::string& png) {
  REQUIRE(png.starts_with("\x89PNG\r\n\x1a\n"));
  const std::uint32_t width = big(png, 16), height = big(png, 20);
  for (std::size_t at = 8; at < png.size();) {
    const std::uint32_t length = big(png, at);
    REQUIRE(at + 12 + length <= png.size());
    CHECK(big(png, at + 8 + length) ==
          ::crc32(0, reinterpret_cast<const Bytef*>(png.data()) + at + 4, length + 4));
    if (png.substr(at + 4, 4) == "IDAT") {
      uLongf size = uLongf{height} * (3 * width + 1);
      std::vector<Bytef> rows(size);
      CHECK(uncompress(rows.data(), &size, reinterpret_cast<const Bytef*>(png.data()) + at + 8, length) ==
            Z_OK);
      CHECK(size == rows.size());
    }
    at += 12 + length;
  }
  return {width, height};
}

// The points of every polyline.
inline std::vector<std::vector<std::pair<double, double>>> polylines(const std::string& svg) {
  std::vector<std::vector<std::pair<double, double>>> lines;
  const std::string text = "<!DOCTYPE html>\n" + svg;
  for (const Element& e : Document(text).all("polyline")) {
    lines.emplace_back();
    std::string points = e.attributes.at("points");
    std::ranges::replace(points, ',', ' ');
    std::istringstream in(points);
    for (double x, y; in >> x >> y;) lines.back().emplace_back(x, y);
  }
  return lines;
}

}  // namespace mld::test
