// dynbatch._acl: pyACL's functions, part by part, with its arguments and tuples. Handles and pointers are Python
// integers; out-parameters come first and the code last.
#pragma once

#include <pybind11/pybind11.h>

#include <cstddef>
#include <cstdint>

#include <dynbatch/acl.h>

#include "gil_release.hpp"

namespace dynbatch::python {

namespace py = pybind11;

using Address = std::uintptr_t;

/// A handle or pointer out of an integer.
template <class T = void>
T* at(Address address) {
  return reinterpret_cast<T*>(address);  // NOLINT(performance-no-int-to-ptr): it is one
}
inline Address address_of(const void* pointer) { return reinterpret_cast<Address>(pointer); }

/// Calls what takes long without the GIL.
template <class Call>
auto without_gil(Call call) {
  const GilRelease release;
  return call();
}

/// {'name': str, 'dimCount': int, 'dims': list[int]}
py::dict to_dict(const aclmdlIODims& dims);

void register_acl_rt(py::module_& module);
void register_acl_mdl(py::module_& module);
void register_acl_desc(py::module_& module);
void register_acl_util(py::module_& module);
void register_acl_native(py::module_& module);

}  // namespace dynbatch::python
