#include "detectors/deep_shape.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace vigie::detectors {

namespace {

constexpr double kUsualMemory = 200;
constexpr double kNewShare = 0.7;  // Of the usual novelty: more than that is worth remembering.
constexpr std::size_t kFirstShapes = 8;

}  // namespace

float ShapeNovelty::nearest(const std::vector<float>& shape) const {
    const std::size_t width = kind_.blocks;
    float best = std::numeric_limits<float>::infinity();
    for (std::size_t at = 0; at < shapes_.size(); at += width) {
        float distance = 0;
        for (std::size_t i = 0; i < width; ++i) {
            distance += std::abs(shape[i] - shapes_[at + i]);
        }
        best = std::min(best, distance);
    }
    return best / static_cast<float>(width);
}

double ShapeNovelty::step(double value) {
    sum_ += value;
    if (++rows_ < kind_.rows) return novelty_;
    const std::size_t width = kind_.blocks;
    if (recent_.size() == width) recent_.erase(recent_.begin());
    recent_.push_back(static_cast<float>(sum_ / kind_.rows));
    sum_ = 0;
    rows_ = 0;
    if (recent_.size() < width) return novelty_;
    std::vector<float> shape = recent_;
    novelty_ = shapes_.empty() ? 0 : static_cast<double>(nearest(shape));
    ++seen_;
    usual_ += (novelty_ - usual_) / std::min(static_cast<double>(seen_), kUsualMemory);
    const std::size_t known = shapes_.size() / width;
    if (known >= kFirstShapes && novelty_ <= kNewShare * usual_) return novelty_;
    if (known < kind_.shapes) {
        if (shapes_.empty()) shapes_.reserve(kind_.shapes * width);
        shapes_.insert(shapes_.end(), shape.begin(), shape.end());
    } else {
        std::ranges::copy(shape, shapes_.begin() + static_cast<std::ptrdiff_t>(oldest_ * width));
        oldest_ = (oldest_ + 1) % kind_.shapes;
    }
    return novelty_;
}

std::size_t ShapeNovelty::bytes() const {
    return (recent_.capacity() + shapes_.capacity()) * sizeof(float);
}

void ShapeNovelty::save(Encoder& out) const {
    for (const auto* list : {&recent_, &shapes_}) {
        out.u64(list->size());
        for (const float value : *list) out.f32(value);
    }
    out.u64(oldest_);
    out.f64(sum_);
    out.u64(rows_);
    out.f64(novelty_);
    out.f64(usual_);
    out.u64(seen_);
}

void ShapeNovelty::load(Decoder& in) {
    bool sane = true;
    for (auto* list : {&recent_, &shapes_}) {
        list->clear();
        if (list == &shapes_) list->reserve(kind_.shapes * kind_.blocks);
        for (std::size_t left = in.count(4); left > 0 && !in.failed(); --left) {
            const float value = in.f32();
            sane = sane && std::isfinite(value) && list->size() < kind_.shapes * kind_.blocks;
            if (sane) list->push_back(value);
        }
    }
    oldest_ = in.u64();
    sum_ = in.f64();
    const std::uint64_t rows = in.u64();
    novelty_ = in.f64();
    usual_ = in.f64();
    seen_ = in.u64();
    sane = sane && recent_.size() <= kind_.blocks && shapes_.size() % kind_.blocks == 0 &&
           oldest_ < kind_.shapes &&
           (oldest_ == 0 || shapes_.size() == kind_.shapes * kind_.blocks) && std::isfinite(sum_) &&
           rows < kind_.rows && std::isfinite(novelty_) && std::isfinite(usual_);
    if (!sane) in.set_failed();
    rows_ = sane ? static_cast<std::uint32_t>(rows) : 0;
}

}  // namespace vigie::detectors
