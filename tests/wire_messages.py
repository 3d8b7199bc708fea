"""Samples and Hypothesis strategies of protocol messages: one entry per message type and direction."""

from typing import Any

from hypothesis import strategies as st

from proxy.wire import messages as m
from proxy.wire.codec import ResponseKind

strings = st.binary(max_size=12).map(lambda text: text.replace(b"\0", b"."))
names = strings.filter(bool)
data = st.binary(max_size=40)
values = st.none() | data
int16 = st.integers(-(2**15), 2**15 - 1)
int32 = st.integers(-(2**31), 2**31 - 1)
oid = st.integers(0, 2**32 - 1)
int8 = st.integers(-128, 127)
keys = st.binary(min_size=1, max_size=256)
kinds = st.sampled_from([b"S", b"P"])


def tuples(items: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(items, max_size=4).map(tuple)


reports = st.dictionaries(st.integers(1, 255).map(chr), strings, max_size=5)
copies = (int8, tuples(int16))

STARTUP = [
    st.builds(
        m.StartupMessage,
        st.sampled_from([m.PROTOCOL_3_0, m.PROTOCOL_3_2]),
        st.dictionaries(names, strings, max_size=4),
    ),
    st.builds(m.SSLRequest),
    st.builds(m.GSSENCRequest),
    st.builds(m.CancelRequest, int32, keys),
]

RESPONSES = {
    ResponseKind.PASSWORD: st.builds(m.PasswordMessage, strings),
    ResponseKind.SASL_INITIAL: st.builds(m.SASLInitialResponse, strings, values),
    ResponseKind.SASL: st.builds(m.SASLResponse, data),
    ResponseKind.GSS: st.builds(m.GSSResponse, data),
}

COPY = [st.builds(m.CopyData, data), st.builds(m.CopyDone)]

FRONTEND = [
    *COPY,
    st.builds(m.Query, strings),
    st.builds(m.Parse, strings, strings, tuples(oid)),
    st.builds(m.Bind, strings, strings, tuples(int16), tuples(values), tuples(int16)),
    st.builds(m.Describe, kinds, strings),
    st.builds(m.Execute, strings, int32),
    st.builds(m.Close, kinds, strings),
    st.builds(m.Sync),
    st.builds(m.Flush),
    st.builds(m.Terminate),
    st.builds(m.FunctionCall, oid, tuples(int16), tuples(values), int16),
    st.builds(m.CopyFail, strings),
]

BACKEND = [
    *COPY,
    st.builds(m.AuthenticationOk),
    st.builds(m.AuthenticationKerberosV5),
    st.builds(m.AuthenticationCleartextPassword),
    st.builds(m.AuthenticationMD5Password, st.binary(min_size=4, max_size=4)),
    st.builds(m.AuthenticationGSS),
    st.builds(m.AuthenticationGSSContinue, data),
    st.builds(m.AuthenticationSSPI),
    st.builds(m.AuthenticationSASL, tuples(names)),
    st.builds(m.AuthenticationSASLContinue, data),
    st.builds(m.AuthenticationSASLFinal, data),
    st.builds(m.BackendKeyData, int32, keys),
    st.builds(m.NegotiateProtocolVersion, int32, tuples(strings)),
    st.builds(m.ParameterStatus, strings, strings),
    st.builds(m.ReadyForQuery, st.sampled_from([b"I", b"T", b"E"])),
    st.builds(m.ErrorResponse, reports),
    st.builds(m.NoticeResponse, reports),
    st.builds(m.NotificationResponse, int32, strings, strings),
    st.builds(m.RowDescription, tuples(st.builds(m.Field, strings, oid, int16, oid, int16, int32, int16))),
    st.builds(m.DataRow, tuples(values)),
    st.builds(m.CommandComplete, strings),
    st.builds(m.EmptyQueryResponse),
    st.builds(m.ParseComplete),
    st.builds(m.BindComplete),
    st.builds(m.CloseComplete),
    st.builds(m.NoData),
    st.builds(m.ParameterDescription, tuples(oid)),
    st.builds(m.PortalSuspended),
    st.builds(m.CopyInResponse, *copies),
    st.builds(m.CopyOutResponse, *copies),
    st.builds(m.CopyBothResponse, *copies),
    st.builds(m.FunctionCallResponse, values),
]
