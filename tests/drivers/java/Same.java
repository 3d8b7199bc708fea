import java.io.StringReader;
import java.io.StringWriter;
import java.sql.*;
import java.time.*;
import java.util.*;
import org.postgresql.PGConnection;
import org.postgresql.copy.CopyManager;
import org.postgresql.util.PGobject;

/** JDBC as an administrator: all it sees, in every way the driver can be told to ask. */
final class Same {
    private static final String[] WAYS = {
        "prepareThreshold=0", "prepareThreshold=1", "prepareThreshold=5", "prepareThreshold=-1",
        "preferQueryMode=simple", "preferQueryMode=extendedForPrepared", "preferQueryMode=extendedCacheEverything",
        "prepareThreshold=1&binaryTransfer=false", "autosave=always", "defaultRowFetchSize=3",
    };

    public static void main(String[] arguments) throws Exception {
        for (String way : WAYS) {
            try (Connection db = Lines.connected(way)) {
                for (String sql : Lines.statements()) Lines.tell(way + ": " + sql, () -> asked(db, sql));
                repeated(db, way);
            }
        }
        try (Connection db = Lines.connected("prepareThreshold=1")) {
            types(db);
            portals(db);
            batches(db);
            keysAndUpdates(db);
            savepoints(db);
            copies(db);
            notifications(db);
            cancelled(db);
        }
        settings();
        Lines.print("done");
    }

    private static Object asked(Connection db, String sql) throws SQLException {
        try (PreparedStatement statement = db.prepareStatement(sql)) {
            if (!statement.execute()) return statement.getUpdateCount();
            ResultSet result = statement.getResultSet();
            return List.of(Lines.columns(result), Lines.rows(result));
        }
    }

    private static final String BY_ID = "SELECT id, name, email, birth_date, balance, is_active, tags, signature,"
            + " created_at, preferences FROM shop.customers WHERE id BETWEEN ? AND ? ORDER BY id";

    /** Often enough for the driver to name the statement, learn its types and change to binary. */
    private static void repeated(Connection db, String way) throws SQLException {
        try (PreparedStatement statement = db.prepareStatement(BY_ID)) {
            for (int i = 1; i <= 8; i++) {
                statement.setInt(1, i);
                statement.setInt(2, i + 2);
                Lines.print(way + " again", "rows", Lines.rows(statement.executeQuery()));
            }
        }
    }

    private static void types(Connection db) throws Exception {
        String sql = "SELECT ?::int, ?::bigint, ?::numeric, ?::text, ?::date, ?::timestamptz, ?::bool, ?::bytea,"
                + " ?::text[], ?::jsonb, ?::uuid, ?::float8, ?::shop.order_status";
        PGobject document = new PGobject();
        document.setType("jsonb");
        document.setValue("{\"a\": 1}");
        try (PreparedStatement statement = db.prepareStatement(sql)) {
            Object[] values = {1, 1L << 40, new java.math.BigDecimal("12345.678"), "é", LocalDate.of(2024, 2, 29),
                OffsetDateTime.of(2024, 2, 29, 12, 0, 0, 0, ZoneOffset.UTC), true, new byte[] {0, 1, -1},
                db.createArrayOf("text", new String[] {"a", "b c", null}), document, new UUID(1, 2), 0.1, "paid"};
            for (int round = 0; round < 3; round++) {
                for (int i = 0; i < values.length; i++) statement.setObject(i + 1, values[i]);
                Lines.tell("types", () -> Lines.rows(statement.executeQuery()));
            }
            ParameterMetaData of = statement.getParameterMetaData();
            Lines.print("parameters", "found", List.of(of.getParameterCount(), of.getParameterTypeName(13)));
        }
    }

    /** A fetch size without autocommit: Execute with a row limit, two portals at once. */
    private static void portals(Connection db) throws SQLException {
        db.setAutoCommit(false);
        try (Statement one = db.createStatement(); PreparedStatement other = db.prepareStatement(BY_ID)) {
            one.setFetchSize(10);
            other.setFetchSize(7);
            other.setInt(1, 100);
            other.setInt(2, 150);
            ResultSet orders = one.executeQuery("SELECT id, total FROM shop.orders ORDER BY id LIMIT 45");
            ResultSet customers = other.executeQuery();
            List<List<String>> rows = new ArrayList<>();
            while (orders.next() & customers.next()) rows.add(List.of(orders.getString(2), customers.getString(2)));
            Lines.print("portals", "rows", rows);
        }
        db.commit();
        db.setAutoCommit(true);
    }

    private static void batches(Connection plain) throws Exception {
        for (boolean isRewritten : new boolean[] {false, true}) {
            try (Connection db = Lines.connected("reWriteBatchedInserts=" + isRewritten)) {
                db.createStatement().execute("CREATE TEMP TABLE many (a int PRIMARY KEY, b text)");
                PreparedStatement insert = db.prepareStatement("INSERT INTO many VALUES (?, ?)");
                for (int i = 0; i < 1000; i++) add(insert, i);
                Lines.print("batch", "counts", insert.executeBatch().length);
                for (int i = 990; i < 1010; i++) add(insert, i + 5);
                Lines.tell("a failing batch", insert::executeBatch);
                Lines.tell("after the batch", () -> asked(db, "SELECT count(*), sum(a) FROM many"));
            }
        }
        try (Statement mixed = plain.createStatement()) {
            mixed.addBatch("CREATE TEMP TABLE mixed (a int)");
            mixed.addBatch("INSERT INTO mixed VALUES (1), (2)");
            mixed.addBatch("UPDATE mixed SET a = a + 1");
            Lines.print("a mixed batch", "counts", mixed.executeBatch());
        }
    }

    private static void add(PreparedStatement insert, int number) throws SQLException {
        insert.setInt(1, number);
        insert.setString(2, "row " + number);
        insert.addBatch();
    }

    private static void keysAndUpdates(Connection db) throws SQLException {
        String create = "CREATE TEMP TABLE keyed (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, b text)";
        db.createStatement().execute(create);
        String insert = "INSERT INTO keyed (b) VALUES (?)";
        try (PreparedStatement statement = db.prepareStatement(insert, Statement.RETURN_GENERATED_KEYS)) {
            statement.setString(1, "first");
            statement.executeUpdate();
            Lines.print("generated keys", "rows", Lines.rows(statement.getGeneratedKeys()));
        }
        try (Statement statement = db.createStatement(ResultSet.TYPE_SCROLL_INSENSITIVE, ResultSet.CONCUR_UPDATABLE)) {
            ResultSet result = statement.executeQuery("SELECT id, b FROM keyed");
            result.first();
            result.updateString("b", "changed");
            result.updateRow();
            result.refreshRow();
            Lines.print("updated row", "row", Lines.row(result));
        }
    }

    private static void savepoints(Connection plain) throws Exception {
        for (String autosave : new String[] {"never", "conservative", "always"}) {
            try (Connection db = Lines.connected("autosave=" + autosave)) {
                db.setAutoCommit(false);
                Lines.tell(autosave, () -> asked(db, "SELECT 1"));
                Lines.tell(autosave, () -> asked(db, "SELECT 1 / 0"));
                Lines.tell(autosave, () -> asked(db, "SELECT 2"));
                db.rollback();
                Savepoint savepoint = db.setSavepoint("a");
                Lines.tell(autosave, () -> asked(db, "UPDATE shop.orders SET note = 'x' WHERE id = 1"));
                db.rollback(savepoint);
                Lines.tell(autosave, () -> asked(db, "SELECT note FROM shop.orders WHERE id = 1"));
                db.rollback();
            }
        }
    }

    private static void copies(Connection db) throws Exception {
        db.createStatement().execute("CREATE TEMP TABLE copied (a int, b text)");
        CopyManager manager = db.unwrap(PGConnection.class).getCopyAPI();
        StringBuilder data = new StringBuilder();
        for (int i = 0; i < 3000; i++) data.append(i).append(",row ").append(i).append('\n');
        String in = "COPY copied FROM STDIN (FORMAT csv)";
        Lines.print("copied in", "count", manager.copyIn(in, new StringReader(data.toString())));
        Lines.tell("a bad copy", () -> manager.copyIn(in, new StringReader("x,y\n")));
        for (String format : new String[] {"text", "csv, HEADER", "binary"}) {
            var taken = new java.io.ByteArrayOutputStream();
            manager.copyOut("COPY (SELECT * FROM copied WHERE a < 5) TO STDOUT (FORMAT " + format + ")", taken);
            Lines.print("copied out", "data", HexFormat.of().formatHex(taken.toByteArray()));
        }
        Lines.tell("a refused copy", () -> manager.copyOut("COPY missing TO STDOUT", new StringWriter()));
        Lines.tell("after copying", () -> asked(db, "SELECT count(*) FROM copied"));
    }

    private static void notifications(Connection db) throws SQLException {
        try (Statement statement = db.createStatement()) {
            statement.execute("LISTEN news");
            statement.execute("NOTIFY news, 'told'");
            var told = db.unwrap(PGConnection.class).getNotifications(5000);
            Lines.print("notified", "found", List.of(told.length, told[0].getName(), told[0].getParameter()));
            statement.execute("UNLISTEN *");
        }
    }

    private static void cancelled(Connection db) throws Exception {
        try (Statement statement = db.createStatement()) {
            statement.setQueryTimeout(1);
            Lines.tell("query timeout", () -> statement.executeQuery("SELECT pg_sleep(60)"));
            statement.setQueryTimeout(0);
            Timer timer = new Timer(true);
            timer.schedule(new TimerTask() {
                @Override
                public void run() {
                    try {
                        statement.cancel();
                    } catch (SQLException error) {
                        Lines.print("cancel", "error", error.getMessage());
                    }
                }
            }, 300);
            Lines.tell("cancelled", () -> statement.executeQuery("SELECT pg_sleep(60)"));
            Lines.tell("after cancels", () -> Lines.rows(statement.executeQuery("SELECT 1")));
        }
    }

    private static void settings() throws Exception {
        try (Connection db = Lines.connected("currentSchema=shop&ApplicationName=jdbc%20tests&readOnly=true")) {
            Lines.tell("currentSchema", () -> asked(db, "SHOW search_path"));
            Lines.tell("ApplicationName", () -> asked(db, "SHOW application_name"));
            Lines.tell("unqualified", () -> asked(db, "SELECT count(*) FROM customers"));
            Lines.print("schema", "found", db.getSchema());
            db.setAutoCommit(false);
            Lines.tell("readOnly", () -> asked(db, "DELETE FROM orders"));
            db.rollback();
            db.setTransactionIsolation(Connection.TRANSACTION_SERIALIZABLE);
            Lines.tell("isolation", () -> asked(db, "SHOW transaction_isolation"));
            db.rollback();
            db.setSchema("public");
            db.setClientInfo("ApplicationName", "renamed");
            Lines.tell("setSchema", () -> asked(db, "SHOW search_path"));
            Lines.tell("setClientInfo", () -> asked(db, "SHOW application_name"));
            db.rollback();
            Lines.print("valid", "found", db.isValid(5));
        }
    }
}
