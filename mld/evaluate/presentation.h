// How numbers of an evaluation are laid out: the rows of the table for a terminal, and the tables and curves
// of a report, of which this says what is in them and mld/report how they look.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "mld/evaluate/evaluation.h"

namespace mld::shown {

// Numbers as text: three significant digits unless asked for others; a dash for what is not a number.
std::string number(double value, int digits = 3);
std::string fixed(double value, int decimals);
std::string percent(double share);      // 0.9712 is "97.1 %"
std::string count(std::int64_t value);  // a dash for record::kNoCount
std::string with_error(double value, double error);

// printf with a pattern for up to three numbers.
std::string format(const char* pattern, double a, double b = 0, double c = 0);
std::string interval(const Share& share);       // "96.4 … 97.8" in percent; "" for none
std::string interval_head();                    // the line over such values in a table for a terminal
std::string with_interval(const Share& share);  // " 97.12 %   [ 96.40,  97.80]", for a terminal
// A line of the table for a terminal.
std::string row(std::string name, const std::string& value);
// A heading and its rows; nothing without rows.
std::string under(const std::string& heading, const std::string& rows);

// "image, sound"
std::string names(const Evaluation& evaluation, Subset set);
// What a sample of `target` was made from.
std::string source(const Evaluation& evaluation, Subset given, int target);

struct Cell {
  std::string text;
  std::optional<Share> bar;  // a share with its interval, drawn
  Cell(std::string t) : text(std::move(t)) {}
  Cell(const char* t) : text(t) {}
  Cell(const Share& share) : bar(share) {}
};

struct Column {
  std::string head;
  bool numeric = false;
};

struct Table {
  std::string caption;
  std::vector<Column> columns;
  std::vector<std::vector<Cell>> rows;  // the first cell heads its row; without rows it is not shown
};

struct Line {
  std::string name;
  std::vector<double> x, y;  // x ascending
};

struct Lines {
  std::string caption, description, x_label, y_label;
  std::vector<Line> lines;  // without any it is not shown
  bool shares = false;      // y from 0 to 1, in percent

  // The points of one name after the other in order of appearance; a point without x is left out.
  void add(const std::string& name, double x, double y);
};

struct Bars {
  std::string caption, description;
  std::vector<double> shares;
};

struct Remark {
  std::string text;
};

using Part = std::variant<Table, Lines, Bars, Remark>;

// Sections of one heading are one.
struct Section {
  std::string heading;
  std::vector<Part> parts;
};

}  // namespace mld::shown
