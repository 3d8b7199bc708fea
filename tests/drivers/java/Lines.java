import java.io.PrintStream;
import java.io.FileOutputStream;
import java.io.FileDescriptor;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.*;
import java.util.*;
import org.postgresql.PGResultSetMetaData;
import org.postgresql.util.PSQLException;

/** What the Java programs print: one JSON object a line. */
final class Lines {
    static final PrintStream OUT =
            new PrintStream(new FileOutputStream(FileDescriptor.out), true, StandardCharsets.UTF_8);

    interface Work {
        Object run() throws Exception;
    }

    static String url(String options) {
        Map<String, String> env = System.getenv();
        return "jdbc:postgresql://" + env.get("PGHOST") + ":" + env.get("PGPORT") + "/" + env.get("PGDATABASE")
                + "?user=" + env.get("PGUSER") + "&password=" + env.get("PGPASSWORD") + "&sslmode="
                + env.get("PGSSLMODE") + "&sslrootcert=" + env.getOrDefault("PGSSLROOTCERT", "") + "&" + options;
    }

    static Connection connected(String options) throws SQLException {
        return DriverManager.getConnection(url(options));
    }

    static List<String> statements() throws Exception {
        return Files.readAllLines(Path.of(System.getenv("SAME_SQL")));
    }

    static void print(String what, Object... keysAndValues) {
        Map<String, Object> line = new LinkedHashMap<>();
        line.put("what", what);
        for (int i = 0; i < keysAndValues.length; i += 2) line.put((String) keysAndValues[i], keysAndValues[i + 1]);
        OUT.println(json(line));
    }

    /** Prints what came of it, a result or an error. */
    static void tell(String what, Work work) throws Exception {
        try {
            print(what, "found", work.run());
        } catch (SQLException error) {
            print(what, "error", seen(error));
        }
    }

    static void refused(String what, Work work) throws Exception {
        try {
            work.run();
            print(what, "sqlstate", "none");
        } catch (SQLException error) {
            print(what, "sqlstate", error.getSQLState());
        }
    }

    static List<Object> seen(SQLException error) {
        List<Object> parts = new ArrayList<>(List.of(error.getClass().getSimpleName(), error.getMessage()));
        parts.add(error.getSQLState());
        if (error instanceof PSQLException own && own.getServerErrorMessage() != null) {
            var message = own.getServerErrorMessage();
            parts.addAll(Arrays.asList(message.getSeverity(), message.getDetail(), message.getHint()));
            parts.addAll(Arrays.asList(message.getPosition(), message.getTable(), message.getConstraint()));
            parts.add(message.getRoutine());
        }
        if (error instanceof BatchUpdateException batch) parts.add(Arrays.toString(batch.getUpdateCounts()));
        return parts;
    }

    static List<List<String>> rows(ResultSet result) throws SQLException {
        List<List<String>> rows = new ArrayList<>();
        while (result.next()) rows.add(row(result));
        return rows;
    }

    static List<String> row(ResultSet result) throws SQLException {
        List<String> row = new ArrayList<>();
        for (int i = 1; i <= result.getMetaData().getColumnCount(); i++) row.add(result.getString(i));
        return row;
    }

    static List<List<Object>> columns(ResultSet result) throws SQLException {
        List<List<Object>> columns = new ArrayList<>();
        ResultSetMetaData of = result.getMetaData();
        PGResultSetMetaData more = (PGResultSetMetaData) of;
        for (int i = 1; i <= of.getColumnCount(); i++) {
            columns.add(List.of(of.getColumnLabel(i), of.getColumnTypeName(i), of.getPrecision(i), of.getScale(i),
                    of.isNullable(i), of.isAutoIncrement(i), more.getBaseSchemaName(i), more.getBaseTableName(i),
                    more.getBaseColumnName(i)));
        }
        return columns;
    }

    static String json(Object value) {
        if (value == null || value instanceof Number || value instanceof Boolean) return String.valueOf(value);
        if (value instanceof Map<?, ?> map) {
            StringJoiner parts = new StringJoiner(",", "{", "}");
            map.forEach((key, one) -> parts.add(json(key) + ":" + json(one)));
            return parts.toString();
        }
        if (value instanceof Collection<?> all) {
            StringJoiner parts = new StringJoiner(",", "[", "]");
            all.forEach(one -> parts.add(json(one)));
            return parts.toString();
        }
        if (value instanceof int[] numbers) return Arrays.toString(numbers);
        return quoted(value.toString());
    }

    private static String quoted(String text) {
        StringBuilder out = new StringBuilder("\"");
        for (char c : text.toCharArray()) {
            if (c == '"' || c == '\\') out.append('\\').append(c);
            else if (c < ' ') out.append(String.format("\\u%04x", (int) c));
            else out.append(c);
        }
        return out.append('"').toString();
    }
}
