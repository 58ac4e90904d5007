// HTML as text: escaping, data URIs, and the few elements a report consists of. Written so that it is XML as
// well (every element closed, attributes in double quotes), which tests check. What is called content is
// HTML; everything else is text and escaped here.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "mld/evaluate/presentation.h"

namespace mld::report {

// For text and for attributes in double quotes. Control characters, which HTML forbids, and bytes that are no
// UTF-8 become U+FFFD.
std::string escape(std::string_view text);
// "data:image/png;base64,..."
std::string data_uri(std::string_view type, std::span<const std::uint8_t> bytes);

using shown::fixed, shown::number, shown::percent;

std::string paragraph(std::string_view text);
std::string remark(std::string_view text);   // a paragraph that qualifies what is shown
std::string heading(std::string_view text);  // within a section
std::string folded(std::string_view summary, std::string_view content);
std::string preformatted(std::string_view text);
std::string figure(std::string_view caption, std::string_view content);

using Facts = std::vector<std::pair<std::string, std::string>>;
std::string facts(const Facts& list);  // names and values, both text

// A table with a caption; wide ones scroll on narrow screens.
class Table {
 public:
  struct Column {
    std::string head;
    bool numeric = false;
  };
  Table(std::string caption, std::vector<Column> columns)
      : caption_(std::move(caption)), columns_(std::move(columns)) {}
  // The first cell heads its row. Cells are text, or content where the row is made of cells of `html`.
  struct Cell {
    std::string content;
    Cell(const std::string& text) : content(escape(text)) {}
    Cell(const char* text) : content(escape(text)) {}
    static Cell html(std::string content);
  };
  void row(const std::vector<Cell>& cells);
  bool empty() const { return body_.empty(); }
  std::string str() const;

 private:
  std::string caption_, body_;
  std::vector<Column> columns_;
};

struct Section {
  std::string id, title, content;
};
// The whole document; sections without content are left out.
std::string page(std::string_view title, std::string_view subtitle, const std::vector<Section>& sections);

}  // namespace mld::report
