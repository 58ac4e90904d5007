#include "mld/study/tables/table.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <set>
#include <string_view>
#include <utility>

#include "engine/base/error.h"
#include "engine/base/names.h"
#include "engine/io/file_error.h"

namespace mld::tables {
namespace {

constexpr std::array<std::string_view, 4> kFormatNames{"table", "markdown", "latex", "csv"};

enum class Rank : std::uint8_t { none, best, second };

struct Printed {
  std::string mean, deviation;  // both empty: no value; deviation empty: none
  bool differs = false;
  Rank rank = Rank::none;
};

std::string fixed(double value, int decimals) {
  char text[400];
  std::snprintf(text, sizeof text, "%.*f", decimals, value);
  return text;
}

// Two, or as many as leave the smallest value of the column two digits.
int decimals_of(const Table& table, std::size_t column) {
  constexpr int kFewest = 2, kMost = 6;
  double smallest = 1;
  for (const TableRow& row : table.rows)
    if (const auto& v = row.values[column]; v && v->mean != 0)
      smallest = std::min(smallest, std::abs(v->mean));
  return std::clamp(static_cast<int>(std::ceil(-std::log10(smallest))) + 1, kFewest, kMost);
}

// Ranks among the rows of one origin.
void rank(const Table& table, std::size_t column, bool published, std::vector<std::vector<Printed>>& cells) {
  std::multiset<double> means;  // negated where lower is better
  const double sign = table.columns[column].higher_is_better ? 1 : -1;
  const auto score = [&](std::size_t row) {
    return sign * std::strtod(cells[row][column].mean.c_str(), nullptr);
  };
  const auto ranked = [&](std::size_t row) {
    const Printed& cell = cells[row][column];
    return table.rows[row].published == published && !cell.mean.empty() && !cell.differs;
  };
  for (std::size_t row = 0; row < cells.size(); ++row)
    if (ranked(row)) means.insert(score(row));
  const std::set<double, std::greater<>> levels(means.begin(), means.end());
  if (levels.size() < 2) return;
  const double best = *levels.begin(), second = *std::next(levels.begin());
  for (std::size_t row = 0; row < cells.size(); ++row) {
    if (!ranked(row)) continue;
    if (score(row) == best) cells[row][column].rank = Rank::best;
    if (score(row) == second && means.size() > 2) cells[row][column].rank = Rank::second;
  }
}

// [rows][columns]
std::vector<std::vector<Printed>> print(const Table& table) {
  std::vector<std::vector<Printed>> cells(table.rows.size(), std::vector<Printed>(table.columns.size()));
  for (std::size_t c = 0; c < table.columns.size(); ++c) {
    const int decimals = decimals_of(table, c);
    for (std::size_t r = 0; r < table.rows.size(); ++r) {
      const std::optional<TableValue>& value = table.rows[r].values[c];
      if (!value) continue;
      cells[r][c].mean = fixed(value->mean, decimals);
      if (value->deviation) cells[r][c].deviation = fixed(*value->deviation, decimals);
      cells[r][c].differs = value->differs;
    }
    rank(table, c, false, cells);
    rank(table, c, true, cells);
  }
  return cells;
}

// Replaces in one pass, so that nothing that was put in is replaced again.
std::string replaced(std::string_view text,
                     std::span<const std::pair<std::string_view, std::string_view>> table) {
  std::string out;
  while (!text.empty()) {
    const auto found = std::ranges::find_if(table, [&](const auto& e) { return text.starts_with(e.first); });
    out += found == table.end() ? text.substr(0, 1) : found->second;
    text.remove_prefix(found == table.end() ? 1 : found->first.size());
  }
  return out;
}

// --- for a terminal ---

std::string terminal_cell(const Printed& cell) {
  if (cell.mean.empty()) return "-";
  return cell.mean + (cell.deviation.empty() ? "" : "+-" + cell.deviation) + (cell.differs ? "!" : "");
}

// The columns [first, last) of a table, with the names of its rows.
std::string terminal_block(const Table& table, const std::vector<std::vector<Printed>>& cells,
                           const std::vector<std::size_t>& widths, std::size_t name_width, std::size_t first,
                           std::size_t last) {
  const auto right = [](const std::string& text, std::size_t width) {
    return "  " + std::string(width - text.size(), ' ') + text;
  };
  std::size_t total = name_width;
  std::string out(name_width, ' ');
  for (std::size_t c = first; c < last; ++c) {
    out += right(table.columns[c].head, widths[c]);
    total += 2 + widths[c];
  }
  out += "\n";
  for (std::size_t r = 0; r < table.rows.size(); ++r) {
    const TableRow& row = table.rows[r];
    if (r == 0 || row.published != table.rows[r - 1].published) out += std::string(total, '-') + "\n";
    out += row.name + std::string(name_width - row.name.size(), ' ');
    for (std::size_t c = first; c < last; ++c) out += right(terminal_cell(cells[r][c]), widths[c]);
    out += "\n";
  }
  return out + std::string(total, '-') + "\n";
}

// In blocks of columns, one below the other, where it is wider than a terminal.
std::string terminal(const Table& table) {
  constexpr std::size_t kWidth = 110;
  const auto cells = print(table);
  std::size_t name_width = 0;
  for (const TableRow& row : table.rows) name_width = std::max(name_width, row.name.size());
  std::vector<std::size_t> widths;
  for (std::size_t c = 0; c < table.columns.size(); ++c) {
    widths.push_back(table.columns[c].head.size());
    for (const auto& row : cells) widths[c] = std::max(widths[c], terminal_cell(row[c]).size());
  }
  std::string out = table.title + "\n\n";
  for (std::size_t first = 0; first < widths.size();) {
    std::size_t last = first, total = name_width;
    do total += 2 + widths[last++];
    while (last < widths.size() && total + 2 + widths[last] <= kWidth);
    out += terminal_block(table, cells, widths, name_width, first, last);
    first = last;
  }
  for (const TableNote& note : table.notes) out += (note.on_marked ? "! " : "") + note.text + "\n";
  return out;
}

// --- Markdown ---

constexpr std::pair<std::string_view, std::string_view> kMarkdown[] = {
    {"->", "→"}, {"+-", "±"}, {"|", "\\|"}, {"_", "\\_"}, {"*", "\\*"}, {"<", "&lt;"}, {"\\", "\\\\"}};

std::string markdown_cell(const Printed& cell) {
  if (cell.mean.empty()) return "–";
  const std::string_view mark = cell.rank == Rank::best ? "**" : cell.rank == Rank::second ? "_" : "";
  return cat(mark, cell.mean, cell.deviation.empty() ? "" : "±", cell.deviation, mark,
             cell.differs ? " †" : "");
}

std::string markdown(const Table& table) {
  const auto cells = print(table);
  std::string out = "**" + replaced(table.title, kMarkdown) + "**\n\n| Model |", rule = "|---|";
  for (const TableColumn& column : table.columns) {
    out += " " + replaced(column.head, kMarkdown) + (column.higher_is_better ? " ↑ |" : " ↓ |");
    rule += "---:|";
  }
  out += "\n" + rule + "\n";
  for (std::size_t r = 0; r < table.rows.size(); ++r) {
    out += "| " + replaced(table.rows[r].name, kMarkdown) + " |";
    for (const Printed& cell : cells[r]) out += " " + markdown_cell(cell) + " |";
    out += "\n";
  }
  out += "\n";
  for (const TableNote& note : table.notes)
    out += (note.on_marked ? "- † " : "- ") + replaced(note.text, kMarkdown) + "\n";
  return out;
}

// --- LaTeX, with the package booktabs ---

constexpr std::pair<std::string_view, std::string_view> kLatex[] = {{"->", "$\\to$"},
                                                                    {"+-", "$\\pm$"},
                                                                    {"|", "$\\mid$"},
                                                                    {"<", "$<$"},
                                                                    {">", "$>$"},
                                                                    {"\\", "\\textbackslash{}"},
                                                                    {"~", "\\textasciitilde{}"},
                                                                    {"^", "\\textasciicircum{}"},
                                                                    {"%", "\\%"},
                                                                    {"&", "\\&"},
                                                                    {"#", "\\#"},
                                                                    {"$", "\\$"},
                                                                    {"_", "\\_"},
                                                                    {"{", "\\{"},
                                                                    {"}", "\\}"}};

std::string latex_cell(const Printed& cell) {
  if (cell.mean.empty()) return "--";
  const std::string value = cell.mean + (cell.deviation.empty() ? "" : "$\\pm$" + cell.deviation);
  return (cell.rank == Rank::best     ? "\\textbf{" + value + "}"
          : cell.rank == Rank::second ? "\\textit{" + value + "}"
                                      : value) +
         (cell.differs ? "$^\\dagger$" : "");
}

std::string latex(const Table& table) {
  const auto cells = print(table);
  std::string out = "\\begin{table}\n\\centering\n\\caption{" + replaced(table.title, kLatex) +
                    "}\n\\begin{tabular}{l" + std::string(table.columns.size(), 'r') + "}\n\\toprule\nModel";
  for (const TableColumn& column : table.columns)
    out +=
        " & " + replaced(column.head, kLatex) + (column.higher_is_better ? " $\\uparrow$" : " $\\downarrow$");
  out += " \\\\\n";
  for (std::size_t r = 0; r < table.rows.size(); ++r) {
    if (r == 0 || table.rows[r].published != table.rows[r - 1].published) out += "\\midrule\n";
    out += replaced(table.rows[r].name, kLatex);
    for (const Printed& cell : cells[r]) out += " & " + latex_cell(cell);
    out += " \\\\\n";
  }
  out += "\\bottomrule\n\\end{tabular}\n";
  for (const TableNote& note : table.notes)
    out += "\\par\\footnotesize " + std::string(note.on_marked ? "$^\\dagger$ " : "") +
           replaced(note.text, kLatex) + "\n";
  return out + "\\end{table}\n";
}

// --- CSV ---

std::string quoted(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  constexpr std::pair<std::string_view, std::string_view> kQuote[] = {{"\"", "\"\""}};
  return "\"" + replaced(text, kQuote) + "\"";
}

std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.10g", value);
  return text;
}

std::string csv(const Table& table) {
  std::string out;
  for (const TableRow& row : table.rows)
    for (std::size_t c = 0; c < table.columns.size(); ++c) {
      const std::optional<TableValue>& v = row.values[c];
      if (!v) continue;
      out += quoted(table.title) + "," + quoted(row.name) + "," + (row.published ? "paper," : "run,") +
             quoted(table.columns[c].head) + "," +
             (table.columns[c].higher_is_better ? "higher," : "lower,") + number(v->mean) + "," +
             (v->deviation ? number(*v->deviation) : "") + "," + std::to_string(v->runs) + "," +
             (v->differs ? "yes," : "no,") + quoted(row.made) + "\n";
    }
  return out;
}

}  // namespace

TableFormat parse_table_format(const std::string& name) {
  const auto found = std::ranges::find(kFormatNames, name);
  const std::vector<std::string> names(kFormatNames.begin(), kFormatNames.end());
  MLD_CHECK_AS(ErrorKind::usage, found != kFormatNames.end(), "format: ", quote(name), " is none of ",
               join(names));
  return static_cast<TableFormat>(found - kFormatNames.begin());
}

std::string write_tables(std::span<const Table> tables, TableFormat format) {
  std::string out =
      format == TableFormat::csv ? "table,row,origin,column,better,mean,std,runs,differs,made\n" : "";
  for (const Table& table : tables) {
    if (format != TableFormat::csv && &table != &tables.front()) out += "\n";
    switch (format) {
      case TableFormat::table:
        out += terminal(table);
        break;
      case TableFormat::markdown:
        out += markdown(table);
        break;
      case TableFormat::latex:
        out += latex(table);
        break;
      case TableFormat::csv:
        out += csv(table);
        break;
    }
  }
  return out;
}

}  // namespace mld::tables
