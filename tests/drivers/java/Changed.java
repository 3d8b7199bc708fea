import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.sql.*;
import java.util.*;

/** Statements the driver holds prepared while policies change: it asks before, waits for a line, asks again. */
final class Changed {
    private static final String SQL = "SELECT * FROM shop.customers WHERE id = ?";
    private static final String[] WAYS = {
        "prepareThreshold=1", "prepareThreshold=5", "prepareThreshold=-1", "preferQueryMode=simple",
        "preferQueryMode=extendedCacheEverything", "prepareThreshold=1&autosave=conservative",
    };

    public static void main(String[] arguments) throws Exception {
        Map<String, PreparedStatement> statements = new LinkedHashMap<>();
        for (String way : WAYS) {
            statements.put(way, Lines.connected(way).prepareStatement(SQL));
            Connection inTransaction = Lines.connected(way);
            inTransaction.setAutoCommit(false);
            statements.put(way + " in a transaction", inTransaction.prepareStatement(SQL));
        }
        for (int i = 0; i < 7; i++) statements.values().forEach(statement -> found(statement));
        BufferedReader commands = new BufferedReader(new InputStreamReader(System.in));
        for (String command = ""; command != null; command = commands.readLine()) {
            statements.forEach((way, statement) -> Lines.print(way, "found", found(statement)));
            Lines.print("asked");
        }
        Lines.print("done");
    }

    private static String found(PreparedStatement statement) {
        try {
            statement.setInt(1, 1);
            try (ResultSet result = statement.executeQuery()) {
                result.next();
                return result.getMetaData().getColumnCount() + " " + result.getString("email");
            }
        } catch (SQLException error) {
            return error.getSQLState();
        }
    }
}
