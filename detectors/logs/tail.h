#pragma once

#include <cmath>

// How unlikely a count is, in nats: minus the natural logarithm of Chernoff's bound on the
// probability of one so far out (Mitzenmacher, Upfal: Probability and Computing, 4.2). The bound
// is never below the truth, so what it calls unlikely is.
namespace vigie::detectors {

// `count` events or more, when a Poisson process gives `mean`; 0 when there are no more.
inline double poisson_high_nats(double count, double mean) {
    if (!(count > mean) || !(mean > 0)) return 0;
    return count * std::log(count / mean) - (count - mean);
}

// `count` events or fewer.
inline double poisson_low_nats(double count, double mean) {
    if (!(count < mean)) return 0;
    return count <= 0 ? mean : count * std::log(count / mean) - (count - mean);
}

// `hits` of `trials` or more, when each hits with probability `chance`.
inline double binomial_high_nats(double hits, double trials, double chance) {
    const double share = hits / trials;
    if (!(share > chance)) return 0;
    double nats = hits * std::log(share / chance);
    if (share < 1) nats += (trials - hits) * std::log((1 - share) / (1 - chance));
    return nats;
}

}  // namespace vigie::detectors
