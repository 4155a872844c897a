// The pool: many callers at once, a child of fork, and more threads than processors.
#include <sys/wait.h>
#include <unistd.h>

#include <thread>

#include "lstm_run.h"

namespace {

void many_callers(const Numbers& n, const Outcome& want) {
    std::vector<int> wrong(8, 0);
    std::vector<std::thread> callers;
    for (int& mine : wrong) {
        callers.emplace_back([&] {
            for (int k = 0; k < 20; ++k) {
                longspan_problem p = problem_of(n);
                p.threads = 1 + k % 5;
                mine += forward(p) != want;
            }
        });
    }
    for (std::thread& caller : callers) caller.join();
    for (const int count : wrong) CHECK(count == 0, "%d of 20 calls went wrong", count);
}

void forked_child(const Numbers& n, const Outcome& want) {
    const pid_t child = fork();
    if (child == 0) {
        alarm(20);  // a child that waits for threads it does not have ends here
        longspan_problem p = problem_of(n);
        p.threads = 3;
        _exit(forward(p) == want ? 0 : 1);
    }
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child, "no child");
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the child ended with %d", status);
}

}  // namespace

int main() {
    const Numbers n(12, 10, 30, 60, 4);
    const Outcome want = forward(problem_of(n));
    longspan_problem p = problem_of(n);
    for (p.threads = 2; p.threads <= 16; p.threads *= 2) CHECK(forward(p) == want, "%d threads", p.threads);
    forked_child(n, want);
    many_callers(n, want);
    forked_child(n, want);
    return verdict();
}
