#include "answer.hpp"

#include <new>
#include <utility>

#include "exceptions.hpp"
#include "results.hpp"

namespace dynbatch::python {
namespace {
namespace answer {  // since several sources are compiled as one

PyTypeObject* type_object = nullptr;  // made once, kept for good

Answer* of(PyObject* self) noexcept { return reinterpret_cast<Answer*>(self); }

PyObject* new_reference(PyObject* object) noexcept {
  Py_INCREF(object);
  return object;
}

/// Calls what may throw; the Python exception is set where it did.
template <class Body>
bool set_error_of(Body&& body) noexcept {
  try {
    body();
    return true;
  } catch (...) {
    set_python_error();
    return false;
  }
}

int traverse(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(self));
  Py_VISIT(of(self)->loop);
  Py_VISIT(of(self)->callback);
  Py_VISIT(of(self)->context);
  Py_VISIT(of(self)->cancel_message);
  return 0;
}

int clear(PyObject* self) {
  Py_CLEAR(of(self)->loop);
  Py_CLEAR(of(self)->callback);
  Py_CLEAR(of(self)->context);
  Py_CLEAR(of(self)->cancel_message);
  return 0;
}

void deallocate(PyObject* self) {
  PyTypeObject* const type = Py_TYPE(self);
  PyObject_GC_UnTrack(self);
  clear(self);
  of(self)->ticket.~Ticket();
  std::destroy_at(&of(self)->signature);
  type->tp_free(self);
  Py_DECREF(type);
}

/// The result of `await`, or null with the exception set. Lets go of the request, since it is awaited
/// once: whoever keeps the exception keeps this object by its traceback.
PyObject* take_result(Answer& answer) noexcept {
  Ticket ticket = std::move(answer.ticket);
  if (answer.given_up) {
    PyObject* const message = answer.cancel_message;
    set_error_of([&] {
      const py::object type = py::module_::import("asyncio").attr("CancelledError");
      const py::object error =
          message == nullptr || message == Py_None ? type() : type(py::handle(message));
      PyErr_SetObject(type.ptr(), error.ptr());
    });
    return nullptr;
  }
  PyObject* result = nullptr;
  set_error_of([&] {
    if (!ticket.accepted()) {
      result = new_reference(Py_None);
    } else if (ticket.code() != ErrorCode::none) {
      raise(ticket.failure());
    } else {
      result = result_dict(ticket, *answer.signature).release().ptr();
    }
  });
  return result;
}

PySendResult send(PyObject* self, PyObject*, PyObject** result) {
  Answer& answer = *of(self);
  if (!answer.announced && !answer.given_up) {
    if (answer.yielded) {
      PyErr_SetString(PyExc_RuntimeError, "an Answer was resumed before it was there");
      *result = nullptr;
      return PYGEN_ERROR;
    }
    answer.yielded = true;
    answer.blocking = true;
    *result = new_reference(self);
    return PYGEN_NEXT;
  }
  *result = take_result(answer);
  return *result == nullptr ? PYGEN_ERROR : PYGEN_RETURN;
}

PyObject* iterate(PyObject* self) {
  PyObject* result = nullptr;
  const PySendResult sent = send(self, Py_None, &result);
  if (sent == PYGEN_RETURN) {
    // A dict or None, which StopIteration takes as they are.
    PyErr_SetObject(PyExc_StopIteration, result);
    Py_DECREF(result);
    return nullptr;
  }
  return result;
}

PyObject* add_done_callback(PyObject* self, PyObject* const* args, Py_ssize_t count,
                            PyObject* names) {
  Answer& answer = *of(self);
  const Py_ssize_t named = names == nullptr ? 0 : PyTuple_GET_SIZE(names);
  if (count != 1 || named > 1 || answer.callback != nullptr) {
    PyErr_SetString(PyExc_RuntimeError, "an Answer is awaited by one task, once");
    return nullptr;
  }
  answer.callback = new_reference(args[0]);
  answer.context =
      named == 1 && args[1] != Py_None ? new_reference(args[1]) : PyContext_CopyCurrent();
  if (answer.context == nullptr) return nullptr;
  if (answer.announced && !set_error_of([&] { answer.wake_soon(); })) return nullptr;
  Py_RETURN_NONE;
}

/// What the task takes from it itself stands in take_result().
PyObject* result(PyObject*, PyObject*) { Py_RETURN_NONE; }

PyObject* give_up(Answer& answer, bool ended) noexcept {
  if (answer.announced || answer.given_up) Py_RETURN_FALSE;
  if (answer.ticket.accepted()) {
    if (!ended) Py_RETURN_FALSE;  // its answer is on its way
  } else if (!set_error_of([&] { answer.wake_soon(); })) {
    return nullptr;
  }
  Py_RETURN_TRUE;
}

PyObject* cancel(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* names) {
  Answer& answer = *of(self);
  const Py_ssize_t given = count + (names == nullptr ? 0 : PyTuple_GET_SIZE(names));
  PyObject* const told = give_up(answer, answer.ticket.cancel());
  if (told != Py_True) return told;
  answer.given_up = true;
  if (given > 0) Py_XSETREF(answer.cancel_message, new_reference(args[0]));
  return told;
}

PyObject* expire(PyObject* self, PyObject*) {
  Answer& answer = *of(self);
  PyObject* const told = give_up(answer, answer.ticket.expire());
  if (told == Py_True && !answer.ticket.accepted()) answer.announced = true;
  return told;
}

PyObject* get_loop(PyObject* self, PyObject*) { return new_reference(of(self)->loop); }

PyObject* done(PyObject* self, PyObject*) {
  return PyBool_FromLong(of(self)->announced || of(self)->given_up);
}

PyObject* get_blocking(PyObject* self, void*) { return PyBool_FromLong(of(self)->blocking); }

int set_blocking(PyObject* self, PyObject* value, void*) {
  const int blocking = value == nullptr ? 0 : PyObject_IsTrue(value);
  if (blocking < 0) return -1;
  of(self)->blocking = blocking != 0;
  return 0;
}

template <class Function>
PyCFunction as_method(Function function) noexcept {
  return reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(function));
}

template <class Function>
void* as_slot(Function function) noexcept {
  return reinterpret_cast<void*>(function);
}

PyTypeObject* make_type() {
  static PyMethodDef methods[] = {
      {"add_done_callback", as_method(add_done_callback), METH_FASTCALL | METH_KEYWORDS, nullptr},
      {"result", result, METH_NOARGS, nullptr},
      {"cancel", as_method(cancel), METH_FASTCALL | METH_KEYWORDS, "Gives the request up."},
      {"expire", expire, METH_NOARGS, "Ends the request, or the wait for room, with Timeout."},
      {"get_loop", get_loop, METH_NOARGS, nullptr},
      {"done", done, METH_NOARGS, nullptr},
      {nullptr, nullptr, 0, nullptr}};
  static PyGetSetDef attributes[] = {
      {"_asyncio_future_blocking", get_blocking, set_blocking, nullptr, nullptr},
      {nullptr, nullptr, nullptr, nullptr, nullptr}};
  static PyType_Slot slots[] = {{Py_tp_dealloc, as_slot(deallocate)},
                                {Py_tp_traverse, as_slot(traverse)},
                                {Py_tp_clear, as_slot(clear)},
                                {Py_tp_iternext, as_slot(iterate)},
                                {Py_am_await, as_slot(new_reference)},
                                {Py_am_send, as_slot(send)},
                                {Py_tp_methods, methods},
                                {Py_tp_getset, attributes},
                                {0, nullptr}};
  static PyType_Spec spec = {
      "dynbatch._core.Answer", sizeof(Answer), 0,
      Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots};
  PyObject* const type = PyType_FromSpec(&spec);
  if (type == nullptr) throw py::error_already_set();
  return reinterpret_cast<PyTypeObject*>(type);
}

}  // namespace answer
}  // namespace

py::object Answer::make(PyObject* loop, std::shared_ptr<const Signature> signature, Ticket ticket) {
  PyObject* const made = answer::type_object->tp_alloc(answer::type_object, 0);  // zeroed
  if (made == nullptr) throw py::error_already_set();
  Answer& self = *answer::of(made);
  new (&self.ticket) Ticket(std::move(ticket));
  new (&self.signature) std::shared_ptr<const Signature>(std::move(signature));
  self.loop = answer::new_reference(loop);
  return py::reinterpret_steal<py::object>(made);
}

void Answer::wake() {
  if (callback == nullptr) return;  // given up, or not awaited yet
  if (PyContext_Enter(context) != 0) {
    PyErr_Clear();  // somebody is in it: a loop inside a loop
    return wake_soon();
  }
  const auto call = py::reinterpret_steal<py::object>(std::exchange(callback, nullptr));
  const auto where = py::reinterpret_steal<py::object>(std::exchange(context, nullptr));
  PyObject* const none = PyObject_CallOneArg(call.ptr(), handle().ptr());
  // What was raised is kept over the way out.
  py::error_scope raised;
  PyContext_Exit(where.ptr());
  if (none != nullptr)
    Py_DECREF(none);
  else if (raised.type != nullptr) {
    PyErr_Restore(std::exchange(raised.type, nullptr), std::exchange(raised.value, nullptr),
                  std::exchange(raised.trace, nullptr));
    throw py::error_already_set();
  }
}

void Answer::wake_soon() {
  if (callback == nullptr) return;
  py::handle(loop).attr("call_soon")(py::handle(callback), handle(),
                                     py::arg("context") = py::handle(context));
  Py_CLEAR(callback);  // not before: the call may raise, on Ctrl-C too
  Py_CLEAR(context);
}

void Answer::abandon() noexcept {
  ticket.cancel();
  Py_CLEAR(callback);
  Py_CLEAR(context);
}

void register_answer(py::module_& module) {
  answer::type_object = answer::make_type();
  module.attr("Answer") =
      py::reinterpret_borrow<py::object>(reinterpret_cast<PyObject*>(answer::type_object));
}

}  // namespace dynbatch::python
