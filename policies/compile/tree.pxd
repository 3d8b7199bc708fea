# Types for the compiled build of tree.py.

cimport cython

cpdef object node_kind(object value)

cpdef bint is_node(object value, str kind)

cpdef object string_of(object node)

@cython.locals(found=list, pending=list, inner=list, entry=object, at=Py_ssize_t, key=str)
cpdef list nodes_of(object value)

cpdef bint contains(object value, str kind)
