// Finds the blocks that changed, and sums up heights.
#include "ui/transcript_layout.h"

#include <algorithm>
#include <functional>
#include <string_view>

namespace headroom {
namespace {

size_t hash_of(std::string_view text) {
  return std::hash<std::string_view>()(text);
}

}  // namespace

TextKind text_kind(const TranscriptMessage& message) {
  return message.role == "assistant" ? TextKind::markdown : TextKind::plain;
}

TranscriptLayout::Text TranscriptLayout::read(const TranscriptMessage& message, const Text* before) {
  Text text;
  text.id = message.id;
  text.role = message.role;
  text.n_bytes = message.content.size();
  text.hash = hash_of(message.content);
  text.about_hash = hash_of(message.note + "\n" + message.numbers + (message.n_versions > 1 ? "\nversions" : ""));
  text.is_streaming = message.is_streaming;
  const bool goes_on = before != nullptr && before->role == message.role && before->n_bytes <= text.n_bytes &&
                       before->hash == hash_of(std::string_view(message.content).substr(0, before->n_bytes));
  if (goes_on) text.blocks = before->blocks;
  if (!goes_on || before->n_bytes != text.n_bytes) cut_blocks(message.content, text_kind(message), text.blocks);
  return text;
}

void TranscriptLayout::follow(const ChatView& chat) {
  if (chat.version == version_ && chat.open_chat == chat_ && texts_.size() == chat.messages.size()) return;
  version_ = chat.version;
  chat_ = chat.open_chat;
  std::vector<Text> before = std::move(texts_);
  const std::vector<TranscriptItem> items_before = std::move(items_);
  const std::vector<int32_t> first_before = std::move(first_item_);
  texts_.clear();
  for (size_t i = 0; i < chat.messages.size(); ++i)
    texts_.push_back(read(chat.messages[i], i < before.size() ? &before[i] : nullptr));
  rebuild();
  // Copy the heights of unchanged items. The last block of a text that grew has changed, so it is measured again.
  for (TranscriptItem& item : items_) {
    const auto m = static_cast<size_t>(item.message);
    if (m >= before.size() || before[m].role != texts_[m].role) continue;
    const size_t place = static_cast<size_t>(first_before[m]) + static_cast<size_t>(&item - items_.data()) -
                         static_cast<size_t>(first_item_[m]);
    const Text &now = texts_[m], &then = before[m];
    const TranscriptItem* same = nullptr;
    if (item.part == TranscriptItem::Part::header) {
      same = &items_before[place];
    } else if (item.part == TranscriptItem::Part::footer) {
      same = &items_before[static_cast<size_t>(first_before[m]) + then.blocks.size() + 1];
      if (now.about_hash != then.about_hash) same = nullptr;
    } else if (const auto b = static_cast<size_t>(item.block); b < then.blocks.size()) {
      const bool is_last = b + 1 == now.blocks.size() || b + 1 == then.blocks.size();
      const bool is_same = now.blocks[b] == then.blocks[b] &&
                           (!is_last || (now.hash == then.hash && now.is_streaming == then.is_streaming));
      if (is_same) same = &items_before[place];
    }
    if (same == nullptr) continue;
    item.height = same->height;
    item.is_measured = same->is_measured;
    item.n_drawn = same->n_drawn;
  }
  n_valid_tops_ = 0;
}

void TranscriptLayout::rebuild() {
  items_.clear();
  first_item_.clear();
  for (size_t m = 0; m < texts_.size(); ++m) {
    const auto message = static_cast<int32_t>(m);
    first_item_.push_back(static_cast<int32_t>(items_.size()));
    items_.push_back({TranscriptItem::Part::header, message, -1});
    for (size_t b = 0; b < texts_[m].blocks.size(); ++b)
      items_.push_back({TranscriptItem::Part::block, message, static_cast<int32_t>(b)});
    items_.push_back({TranscriptItem::Part::footer, message, -1});
  }
  for (TranscriptItem& item : items_) item.height = estimate(item);
  n_valid_tops_ = 0;
}

/// Assumes that a letter is half as wide as a line is high.
float TranscriptLayout::estimate(const TranscriptItem& item) const {
  if (item.part == TranscriptItem::Part::header) return 1.5f * line_height_;
  if (item.part == TranscriptItem::Part::footer) return 1.0f * line_height_;
  const TextBlock& block = blocks(item.message)[static_cast<size_t>(item.block)];
  const float letters_a_line = std::max(10.0f, width_ / std::max(1.0f, 0.5f * line_height_));
  return line_height_ * (1.0f + static_cast<float>(block.end - block.begin) / letters_a_line);
}

void TranscriptLayout::set_measures(float width, float line_height) {
  if (width == width_ && line_height == line_height_) return;
  width_ = width;
  line_height_ = line_height;
  for (TranscriptItem& item : items_) {
    item.height = estimate(item);
    item.is_measured = false;
    item.n_drawn = 0;
  }
  n_valid_tops_ = 0;
}

void TranscriptLayout::set_height(size_t item, float height) {
  items_[item].is_measured = true;
  if (items_[item].height == height) return;
  items_[item].height = height;
  n_valid_tops_ = std::min(n_valid_tops_, item + 1);
}

void TranscriptLayout::set_drawn(size_t item, float height) {
  set_height(item, height);
  ++items_[item].n_drawn;
}

float TranscriptLayout::top(size_t item) const {
  tops_.resize(items_.size() + 1);
  if (n_valid_tops_ == 0) {
    tops_[0] = 0;
    n_valid_tops_ = 1;
  }
  for (; n_valid_tops_ <= item; ++n_valid_tops_)
    tops_[n_valid_tops_] = tops_[n_valid_tops_ - 1] + items_[n_valid_tops_ - 1].height;
  return tops_[item];
}

size_t TranscriptLayout::item_at(float y) const {
  if (items_.empty()) return 0;
  top(items_.size());
  const auto above = std::upper_bound(tops_.begin(), tops_.begin() + std::ssize(items_), y);
  return above == tops_.begin() ? 0 : static_cast<size_t>(above - tops_.begin()) - 1;
}

}  // namespace headroom
