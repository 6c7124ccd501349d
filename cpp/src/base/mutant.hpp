// Mutants: faults that the tests of concurrency have to find, in the places where they would be made.
// Without DYNBATCH_MUTANTS, as in every build that is used, DYNBATCH_MUTANT(name) is `false` and leaves
// nothing behind. With it, the environment variable DYNBATCH_MUTANT names the fault that is switched on.
//
// tests/model/mutants.py runs each of them and expects it to be found.
#pragma once

#include <cstdlib>
#include <string>
#include <string_view>

#define DYNBATCH_MUTANT_LIST(X)                                                               \
  X(weak_publish)             /* publish() releases only */                                   \
  X(claim_ignores_seal)       /* claim() adds rows to a sealed block */                       \
  X(takes_incomplete)         /* a block is taken while a row is missing */                   \
  X(reuses_generation)        /* a block's next life has the generation of the last */

namespace dynbatch {

enum class Mutant {
  none,
#define DYNBATCH_ENUMERATOR(name) name,
  DYNBATCH_MUTANT_LIST(DYNBATCH_ENUMERATOR)
#undef DYNBATCH_ENUMERATOR
};

inline std::string name_of(Mutant mutant) {
  switch (mutant) {
#define DYNBATCH_NAME(name) \
  case Mutant::name: return #name;
    DYNBATCH_MUTANT_LIST(DYNBATCH_NAME)
#undef DYNBATCH_NAME
    default: return "none";
  }
}

#ifdef DYNBATCH_MUTANTS
inline Mutant mutant_of_environment() {
  const char* const wanted = std::getenv("DYNBATCH_MUTANT");
  const std::string_view text(wanted == nullptr ? "" : wanted);
#define DYNBATCH_COMPARE(name) \
  if (text == #name) return Mutant::name;
  DYNBATCH_MUTANT_LIST(DYNBATCH_COMPARE)
#undef DYNBATCH_COMPARE
  if (!text.empty()) std::abort();  // a name that is not in the list would test nothing
  return Mutant::none;
}
inline const Mutant kActiveMutant = mutant_of_environment();
inline Mutant active_mutant() noexcept { return kActiveMutant; }
#define DYNBATCH_MUTANT(name) (::dynbatch::active_mutant() == ::dynbatch::Mutant::name)
#else
constexpr Mutant active_mutant() noexcept { return Mutant::none; }
#define DYNBATCH_MUTANT(name) false
#endif

}  // namespace dynbatch
