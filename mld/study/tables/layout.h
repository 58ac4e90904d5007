// Which numbers stand in which column of which table: the paper's tables for its data sets
// (paper_results.json, which also holds the published numbers), generic ones for any other.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "mld/diffusion/subsets.h"

namespace mld {
struct Evaluation;
}

namespace mld::tables {

enum class Measure : std::uint8_t {
  joint,        // coherence of joint generation
  conditional,  // coherence of `target` generated from `given`
  self,  // coherence of `target` from `given`, which it is in: of latent diffusion decode(encode(target))
  leave_one_out,  // its mean over targets and sets of `size` others (docs/method.md section 18.1)
  quality,        // `metric` of `target` from `given`: none, jointly; the target, decode(encode(target))
  mean_quality,   // as leave_one_out; size 0: jointly
  kernel,         // the kernel distance that belongs to a `quality`
  clip_score,     // of `given`; none: jointly
  attributes      // mean share of the attributes that are right in `target` from `given`; none: alike in all
};

struct LayoutColumn {
  std::string head;  // "M->S FID"
  Measure measure = Measure::joint;
  Subset given = 0;
  int target = 0;
  std::int64_t size = 0;
  std::string metric = {};
  int published = -1;  // place of its number in a published row, -1: the paper has none
  // Latent diffusion's number is that of `target` given itself, by its autoencoder: in the paper's tables, whose data
  // have no holes, so that the samples are the same.
  bool own_suffices = false;

  bool higher_is_better() const {
    return measure != Measure::quality && measure != Measure::mean_quality && measure != Measure::kernel;
  }
};

struct PublishedRow {
  std::string model;
  std::vector<double> mean, deviation;  // deviation: over the seeds; empty where the paper gives none
};

struct PublishedTable {
  std::int64_t number = 0;
  std::vector<PublishedRow> rows;
};

struct TableLayout {
  std::string title;
  std::vector<LayoutColumn> columns;
  std::vector<PublishedTable> published;  // all with the same columns
  std::vector<std::int64_t> shown;        // numbers of those to show, of which each model's first row counts
  std::vector<std::string> notes;         // on the published numbers
};

struct PublishedDataSet {
  std::vector<std::string> names;  // the paper's data set, and others of its form
  std::vector<std::string> modalities;
  std::vector<TableLayout> tables;
};

constexpr int kPublishedSeeds = 5;

struct PublishedResults {
  std::string source;  // the paper
  std::vector<PublishedDataSet> data_sets;
};
const PublishedResults& published_results();
// Of the evaluation's data set, by its name or that of the preset, and modalities; nullptr if the paper has none.
const PublishedDataSet* published_of(const Evaluation& file);

// The tables of evaluations that are all of one data set and its modalities. Columns may turn out empty.
std::vector<TableLayout> layouts_of(std::span<const Evaluation> files);

// The text of paper_results.json.
extern const std::string_view kPublishedJson;

}  // namespace mld::tables
