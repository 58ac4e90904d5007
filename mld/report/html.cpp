#include "mld/report/html.h"

#include <algorithm>

#include "engine/base/error.h"
#include "mld/evaluate/networks/unicode.h"
#include "mld/report/style.h"

namespace mld::report {

std::string escape(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  // Whatever bytes files hold, the page is UTF-8.
  for (const char c : unicode::encode(unicode::decode(text))) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '&')
      out += "&amp;";
    else if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else if (c == '"')
      out += "&quot;";
    else if (c == '\'')
      out += "&#39;";
    else if ((byte < 0x20 && c != '\n' && c != '\t') || byte == 0x7f)
      out += "\xef\xbf\xbd";
    else
      out += c;
  }
  return out;
}

std::string data_uri(std::string_view type, std::span<const std::uint8_t> bytes) {
  constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out = cat("data:", type, ";base64,");
  out.reserve(out.size() + (bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t count = std::min<std::size_t>(3, bytes.size() - i);
    std::uint32_t group = 0;
    for (std::size_t k = 0; k < 3; ++k) group = group << 8U | (k < count ? bytes[i + k] : 0U);
    for (std::size_t k = 0; k < 4; ++k) out += k <= count ? kDigits[group >> (18U - 6U * k) & 63U] : '=';
  }
  return out;
}

std::string paragraph(std::string_view text) { return cat("<p>", escape(text), "</p>\n"); }
std::string remark(std::string_view text) { return cat("<p class=\"remark\">", escape(text), "</p>\n"); }
std::string heading(std::string_view text) { return cat("<h3>", escape(text), "</h3>\n"); }

std::string folded(std::string_view summary, std::string_view content) {
  return cat("<details><summary>", escape(summary), "</summary>\n", content, "</details>\n");
}

std::string preformatted(std::string_view text) {
  return cat("<pre tabindex=\"0\">", escape(text), "</pre>\n");
}

std::string figure(std::string_view caption, std::string_view content) {
  return cat("<figure><figcaption>", escape(caption), "</figcaption>\n", content, "</figure>\n");
}

std::string facts(const Facts& list) {
  std::string out = "<dl>\n";
  for (const auto& [name, value] : list)
    out += cat("<div><dt>", escape(name), "</dt><dd>", escape(value), "</dd></div>\n");
  return out + "</dl>\n";
}

Table::Cell Table::Cell::html(std::string content) {
  Cell cell("");
  cell.content = std::move(content);
  return cell;
}

void Table::row(const std::vector<Cell>& cells) {
  MLD_CHECK(cells.size() == columns_.size(), "table '", caption_, "': ", cells.size(), " cells for ",
            columns_.size(), " columns");
  body_ += "<tr>";
  for (std::size_t i = 0; i < cells.size(); ++i) {
    const char* tag = i == 0 ? "th" : "td";
    body_ += cat('<', tag, i == 0 ? " scope=\"row\"" : "", columns_[i].numeric ? " class=\"n\"" : "", '>',
                 cells[i].content, "</", tag, '>');
  }
  body_ += "</tr>\n";
}

std::string Table::str() const {
  if (empty()) return "";
  std::string head;
  for (const Column& c : columns_)
    head += cat("<th scope=\"col\"", c.numeric ? " class=\"n\"" : "", '>', escape(c.head), "</th>");
  return cat("<div class=\"wide\" tabindex=\"0\"><table><caption>", escape(caption_),
             "</caption>\n<thead><tr>", head, "</tr></thead>\n<tbody>\n", body_, "</tbody></table></div>\n");
}

std::string page(std::string_view title, std::string_view subtitle, const std::vector<Section>& sections) {
  std::string links, body;
  for (const Section& s : sections) {
    if (s.content.empty()) continue;
    links += cat("<li><a href=\"#", s.id, "\">", escape(s.title), "</a></li>");
    body += cat("<section id=\"", s.id, "\" aria-labelledby=\"", s.id, "-title\">\n<h2 id=\"", s.id,
                "-title\">", escape(s.title), "</h2>\n", s.content, "</section>\n");
  }
  return cat("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n",
             "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n",
             "<meta name=\"color-scheme\" content=\"light dark\"/>\n<title>", escape(title),
             "</title>\n<style>", kStyle, "</style>\n</head>\n<body>\n<header><h1>", escape(title),
             "</h1>\n<p>", escape(subtitle), "</p>\n<nav aria-label=\"Sections\"><ul>", links,
             "</ul></nav></header>\n<main>\n", body, "</main>\n</body>\n</html>\n");
}

}  // namespace mld::report
