import java.io.StringWriter;
import java.sql.*;
import java.util.*;
import org.postgresql.PGConnection;
import org.postgresql.copy.CopyManager;

/** JDBC under a narrow policy: the same masked rows in every way to ask, refusals as SQLException. */
final class Narrow {
    private static final String MASKED = "SELECT id, email, ssn, phone, birth_date, balance, preferences, tags,"
            + " signature FROM shop.customers WHERE id <= ";
    private static final String[] WAYS = {
        "prepareThreshold=0", "prepareThreshold=1", "prepareThreshold=5", "prepareThreshold=-1",
        "preferQueryMode=simple", "preferQueryMode=extendedForPrepared", "preferQueryMode=extendedCacheEverything",
        "prepareThreshold=1&binaryTransfer=false", "autosave=conservative", "defaultRowFetchSize=3",
    };

    public static void main(String[] arguments) throws Exception {
        if (arguments[0].equals("analyst")) analyst();
        else writer();
        Lines.print("done");
    }

    private static void analyst() throws Exception {
        for (String way : WAYS) {
            try (Connection db = Lines.connected(way)) {
                masked(db, way);
                refusals(db);
            }
        }
        try (Connection db = Lines.connected("prepareThreshold=1")) {
            portal(db);
            transaction(db);
            scrollable(db);
            metadata(db.getMetaData());
            cancelled(db);
        }
        try (Connection db = Lines.connected("autosave=always")) {
            db.setAutoCommit(false);
            Lines.refused("blocked: autosave", () -> db.createStatement().executeQuery("TABLE shop.salaries"));
            ask(db, "autosave", MASKED + "20 ORDER BY id");
        }
        try (Connection db = Lines.connected("currentSchema=shop&ApplicationName=narrow")) {
            ask(db, "currentSchema", MASKED.replace("shop.", "") + "20 ORDER BY id");
        }
    }

    private static void masked(Connection db, String way) throws SQLException {
        ask(db, way + " statement", MASKED + "20 ORDER BY id");
        try (PreparedStatement statement = db.prepareStatement(MASKED + "? ORDER BY id")) {
            statement.setInt(1, 20);
            for (int i = 0; i < 8; i++) {
                Lines.print(way + " prepared", "customers", Lines.rows(statement.executeQuery()));
            }
        }
    }

    private static void ask(Connection db, String what, String sql) throws SQLException {
        try (Statement statement = db.createStatement()) {
            Lines.print(what, "customers", Lines.rows(statement.executeQuery(sql)));
        }
    }

    private static void refusals(Connection db) throws Exception {
        Lines.refused("blocked: statement", () -> db.createStatement().executeQuery("SELECT * FROM shop.salaries"));
        String column = "SELECT card_number FROM shop.payments";
        Lines.refused("blocked: column", () -> db.createStatement().executeQuery(column));
        PreparedStatement blocked = db.prepareStatement("SELECT * FROM shop.salaries WHERE amount > ?");
        blocked.setInt(1, 1);
        for (int i = 0; i < 2; i++) Lines.refused("blocked: prepared", blocked::executeQuery);
        Lines.refused("blocked: described", () -> db.prepareStatement("TABLE shop.salaries").getMetaData());
        String update = "UPDATE shop.orders SET note = ''";
        Lines.refused("not granted: update", () -> db.createStatement().executeUpdate(update));
        PreparedStatement insert = db.prepareStatement("INSERT INTO shop.tenants VALUES (?, 'x')");
        for (int i = 20; i < 23; i++) {
            insert.setInt(1, i);
            insert.addBatch();
        }
        Lines.refused("not granted: batch", insert::executeBatch);
        CopyManager manager = db.unwrap(PGConnection.class).getCopyAPI();
        Lines.refused("not granted: copy", () -> manager.copyOut("COPY shop.customers TO STDOUT", new StringWriter()));
        Lines.refused("server files", () -> db.createStatement().executeQuery("SELECT pg_read_file('/etc/passwd')"));
    }

    private static void portal(Connection db) throws SQLException {
        db.setAutoCommit(false);
        try (PreparedStatement statement = db.prepareStatement(MASKED + "? ORDER BY id")) {
            statement.setFetchSize(3);
            statement.setInt(1, 20);
            for (int i = 0; i < 3; i++) Lines.print("portal", "customers", Lines.rows(statement.executeQuery()));
        }
        db.commit();
        db.setAutoCommit(true);
    }

    private static void transaction(Connection db) throws Exception {
        db.setAutoCommit(false);
        Statement statement = db.createStatement();
        Savepoint savepoint = db.setSavepoint("a");
        Lines.refused("blocked: in a transaction", () -> statement.executeQuery("TABLE shop.salaries"));
        Lines.refused("failed transaction", () -> statement.executeQuery("SELECT 1"));
        db.rollback(savepoint);
        ask(db, "after the savepoint", MASKED + "20 ORDER BY id");
        db.rollback();
        db.setAutoCommit(true);
    }

    private static final String LONG = "SELECT count(*) FROM shop.orders AS a, shop.orders AS b, shop.orders AS c";

    private static void cancelled(Connection db) throws SQLException {
        try (Statement statement = db.createStatement()) {
            statement.setQueryTimeout(1);
            statement.executeQuery(LONG);
        } catch (SQLException error) {
            Lines.print("query timeout", "ok", error.getSQLState().equals("57014"));
        }
        ask(db, "after the timeout", MASKED + "20 ORDER BY id");
    }

    private static void scrollable(Connection db) throws SQLException {
        int kind = ResultSet.TYPE_SCROLL_INSENSITIVE;
        try (Statement statement = db.createStatement(kind, ResultSet.CONCUR_READ_ONLY)) {
            ResultSet result = statement.executeQuery(MASKED + "20 ORDER BY id");
            result.last();
            result.beforeFirst();
            Lines.print("scrollable", "customers", Lines.rows(result));
        }
    }

    private static void metadata(DatabaseMetaData of) throws SQLException {
        List<String> tables = names(of.getTables(null, "shop", "%", new String[] {"TABLE", "PARTITIONED TABLE"}), 3);
        Lines.print("getTables", "ok", tables.contains("customers") && !tables.contains("salaries"));
        List<String> columns = names(of.getColumns(null, "shop", "payments", "%"), 4);
        Lines.print("getColumns", "ok", columns.contains("amount") && !columns.contains("card_number"));
        List<String> none = names(of.getColumns(null, "shop", "salaries", "%"), 4);
        Lines.print("getColumns of a blocked table", "ok", none.isEmpty());
        List<String> key = names(of.getPrimaryKeys(null, "shop", "customers"), 4);
        Lines.print("getPrimaryKeys", "ok", key.equals(List.of("id")));
        Lines.print("getImportedKeys", "ok", names(of.getImportedKeys(null, "shop", "orders"), 8).size() == 2);
        List<String> indexed = names(of.getIndexInfo(null, "shop", "orders", false, true), 9);
        Lines.print("getIndexInfo", "ok", indexed.contains("id"));
        Lines.print("getSchemas", "ok", names(of.getSchemas(), 1).contains("shop"));
        Lines.print("getTypeInfo", "ok", names(of.getTypeInfo(), 1).contains("int4"));
        Lines.print("getFunctions", "ok", names(of.getFunctions(null, "pg_catalog", "upper"), 3).contains("upper"));
    }

    private static List<String> names(ResultSet result, int column) throws SQLException {
        List<String> names = new ArrayList<>();
        while (result.next()) names.add(result.getString(column));
        return names;
    }

    /** What takes more grants than `select`. */
    private static void writer() throws Exception {
        try (Connection db = Lines.connected("prepareThreshold=1"); Statement statement = db.createStatement()) {
            notifications(db, statement);
            db.setAutoCommit(false);
            statement.execute("DECLARE c CURSOR FOR " + MASKED + "20 ORDER BY id");
            ask(db, "FETCH", "FETCH ALL FROM c");
            db.commit();
            statement.execute("PREPARE p (int) AS " + MASKED + "$1 ORDER BY id");
            for (int i = 0; i < 2; i++) ask(db, "EXECUTE", "EXECUTE p (20)");
            statement.execute("CREATE TEMP TABLE seen AS " + MASKED + "20");
            ask(db, "temporary table", "SELECT * FROM seen ORDER BY id");
            copies(db);
            writes(db);
            db.rollback();
        }
    }

    private static void notifications(Connection db, Statement statement) throws SQLException {
        statement.execute("LISTEN news");
        statement.execute("NOTIFY news, 'told'");
        var told = db.unwrap(PGConnection.class).getNotifications(5000);
        Lines.print("notified", "ok", told.length == 1 && told[0].getParameter().equals("told"));
        statement.execute("UNLISTEN *");
    }

    private static void copies(Connection db) throws Exception {
        CopyManager manager = db.unwrap(PGConnection.class).getCopyAPI();
        StringWriter taken = new StringWriter();
        manager.copyOut("COPY (" + MASKED + "20 ORDER BY id) TO STDOUT", taken);
        List<List<String>> rows = new ArrayList<>();
        for (String line : taken.toString().split("\n")) {
            List<String> row = new ArrayList<>(List.of(line.split("\t")));
            row.replaceAll(value -> value.equals("\\N") ? null : value);
            rows.add(row);
        }
        Lines.print("COPY", "customers", rows);
        Savepoint savepoint = db.setSavepoint();
        Lines.refused("blocked: COPY", () -> manager.copyOut("COPY shop.salaries TO STDOUT", new StringWriter()));
        db.rollback(savepoint);
    }

    private static void writes(Connection db) throws Exception {
        String update = "WITH changed AS (UPDATE shop.customers SET name = ? WHERE id <= ?"
                + " RETURNING id, email, ssn, phone, birth_date, balance, preferences, tags, signature) TABLE changed ORDER BY 1";
        try (PreparedStatement statement = db.prepareStatement(update)) {
            statement.setString(1, "changed");
            statement.setInt(2, 20);
            Lines.print("UPDATE RETURNING", "customers", Lines.rows(statement.executeQuery()));
        }
        String sql = "INSERT INTO shop.orders (tenant_id, customer_id, ordered_at) VALUES (?, 1, now())";
        try (PreparedStatement insert = db.prepareStatement(sql, Statement.RETURN_GENERATED_KEYS)) {
            insert.setInt(1, 1);
            insert.executeUpdate();
            Lines.print("generated keys", "ok", names(insert.getGeneratedKeys(), 1).size() == 1);
            Savepoint savepoint = db.setSavepoint();
            insert.setInt(1, 2);
            Lines.refused("another tenant's row", insert::executeUpdate);
            db.rollback(savepoint);
        }
    }
}
