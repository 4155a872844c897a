// A small pool of threads that spin briefly, then sleep, or the threads of a host that lends them.
//
// One call at a time has the pool; another that comes meanwhile does all its shares itself, which changes no
// bit of its results. A child of fork starts with a new pool, and borrows nothing.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

namespace longspan {

inline constexpr int most_threads = 256;

// Where the threads of one task wait for each other: in round r each tells the one 2^r places on that it is
// there, and waits to be told (Hensgen, Finkel, Manber 1988). A word has one writer and one reader, so two
// threads need no more than one line of memory to cross each way.
class Barrier {
  public:
    // So many parties, who have not met yet.
    void seat(int parties);
    void meet(int party);

    // Nanoseconds of one meeting, which all parties measure together.
    double crossing(int party);

  private:
    static constexpr int most_rounds = 8;
    struct alignas(64) Seat {
        std::atomic<std::uint32_t>
            told[most_rounds];               // number of the last meeting that this party was told of
        std::uint32_t meetings alignas(64);  // that it went to
    };

    int parties_ = 0;
    std::vector<std::unique_ptr<Seat>> seats_;
};

// How a host that runs on GNU OpenMP lends its threads. Its workers spin for milliseconds after each of its
// own parallel regions: a second set of threads would find every processor taken.
struct Lender {
    void (*parallel)(void (*body)(void*), void* data, unsigned threads, unsigned flags) = nullptr;
    int (*team)() = nullptr;    // how many threads run the body, and
    int (*number)() = nullptr;  // which of them this is, asked inside of it
};

class Pool {
  public:
    using Task = void (*)(void* context, int share, int shares);

    // From now on the threads of `lender`, or with a NULL our own again.
    void borrow(const Lender& lender);

    // Calls task(context, k, shares) for every k below shares, on as many threads, and returns when all are
    // done.
    void run(int shares, Task task, void* context);

    // The same, but all shares at the same time, so that they may meet at the barrier; false, and nothing
    // done, where that cannot be had now.
    bool run_together(int shares, Task task, void* context);
    Barrier& barrier() { return barrier_; }

    static Pool& global();

  private:
    struct Worker {
        std::atomic<std::uint32_t> ticket{0};  // number of the job that it is woken for
    };

    std::mutex busy_;
    Barrier barrier_;
    Lender lender_;
    std::vector<std::unique_ptr<Worker>> workers_;
    // Of the job that runs: its number (32 bits), how many shares it has (16), how many are claimed (16). In
    // one word, so that a worker that wakes too late for its job can claim nothing of the next one.
    std::atomic<std::uint64_t> claims_{0};
    std::atomic<std::uint32_t> unfinished_{0};
    std::uint32_t job_ = 0;
    Task task_ = nullptr;
    void* context_ = nullptr;

    bool run_borrowed(int shares, Task task, void* context) const;
    void work(Worker& worker);
    void run_shares(std::uint32_t job);
    bool grow(int workers);
};

}  // namespace longspan
