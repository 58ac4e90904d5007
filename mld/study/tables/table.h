// A table of means and deviations, and its text in four formats. Every format prints the same numbers with
// the same digits and the same marks, except CSV, which is for programs: a line a number, with all its
// digits.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace mld::tables {

enum class TableFormat : std::uint8_t { table, markdown, latex, csv };
// ErrorKind::usage for a name that is none of table, markdown, latex, csv.
TableFormat parse_table_format(const std::string& name);

struct TableValue {
  double mean = 0;
  std::optional<double> deviation;  // over the runs; none where there is one
  std::int64_t runs = 1;
  bool differs = false;  // measured otherwise than the column's first number: marked, and out of the ranking
};

// Texts are ASCII where they come from us: "->", "+-" and "|" are set as each format can.
struct TableColumn {
  std::string head;
  bool higher_is_better = true;
};

struct TableRow {
  std::string name;
  bool published = false;                         // by others; stands above our rows and is ranked apart
  std::vector<std::optional<TableValue>> values;  // one a column
  std::string made;                               // how its numbers were made
};

struct TableNote {
  std::string text;
  bool on_marked = false;  // explains the mark of the values that differ
};

struct Table {
  std::string title;
  std::vector<TableColumn> columns;
  std::vector<TableRow> rows;
  std::vector<TableNote> notes;
};

// The best value of a column and the second best (from three rows on) stand out in Markdown and LaTeX. Values
// that print alike share a rank.
std::string write_tables(std::span<const Table> tables, TableFormat format);

}  // namespace mld::tables
