import java.lang.reflect.Constructor;
import java.lang.reflect.InvocationTargetException;
import java.util.ArrayList;
import java.util.List;
import org.apache.hadoop.hbase.filter.Filter;
import org.apache.hadoop.hbase.filter.FilterList;
import org.apache.hadoop.hbase.filter.FuzzyRowFilter;
import org.apache.hadoop.hbase.filter.PrefixFilter;
import org.apache.hadoop.hbase.filter.RegexStringComparator;
import org.apache.hadoop.hbase.filter.SingleColumnValueFilter;
import org.apache.hadoop.hbase.util.Pair;

/**
 * Filters and comparators by the names of their classes: of hbase-client 1.4 and 3.0 no constructor that takes an operator
 * is the same. Compiles against hbase-client 1.4 to 3.0.
 */
final class Filters {
  private Filters() {}

  private static byte[] b(String text) {
    return Story.b(text);
  }

  static Object regex(String pattern) {
    return new RegexStringComparator(pattern, RegexStringComparator.EngineType.JONI);
  }

  /** Keys in which a question mark stands for any byte. */
  static Filter fuzzy(String... keys) {
    List<Pair<byte[], byte[]>> pairs = new ArrayList<>();
    for (String key : keys) {
      byte[] mask = new byte[key.length()];
      for (int index = 0; index < mask.length; index++) {
        mask[index] = (byte) (key.charAt(index) == '?' ? 1 : 0);
      }
      pairs.add(new Pair<>(b(key.replace('?', 'z')), mask));
    }
    return new FuzzyRowFilter(pairs);
  }

  static Filter prefix(String prefix) {
    return new PrefixFilter(b(prefix));
  }

  static Filter qualifier(String operator, String qualifier) {
    return of("QualifierFilter", operator, of("BinaryComparator", b(qualifier)));
  }

  static Filter value(String operator, String value) {
    return of("ValueFilter", operator, of("BinaryComparator", b(value)));
  }

  static Filter all(Filter... filters) {
    return new FilterList(FilterList.Operator.MUST_PASS_ALL, filters);
  }

  static Filter one(Filter... filters) {
    return new FilterList(FilterList.Operator.MUST_PASS_ONE, filters);
  }

  static Filter single(String qualifier, String value) {
    SingleColumnValueFilter made = of("SingleColumnValueFilter", FilterLines.A, b(qualifier), "EQUAL", b(value));
    made.setFilterIfMissing(true);
    return made;
  }

  /** This client knows no such class, or not with that. */
  static final class NotThereException extends RuntimeException {}

  /** A filter or comparator; names of operators are words. */
  static <T> T of(String name, Object... words) {
    Class<?> kind;
    try {
      kind = Class.forName("org.apache.hadoop.hbase.filter." + name);
    } catch (ClassNotFoundException error) {
      throw new NotThereException();
    }
    for (Constructor<?> each : kind.getConstructors()) {
      Object[] taken = taken(each.getParameterTypes(), words);
      if (taken != null) {
        try {
          @SuppressWarnings("unchecked")
          T made = (T) each.newInstance(taken);
          return made;
        } catch (InvocationTargetException error) {
          throw new IllegalArgumentException(error.getCause());
        } catch (ReflectiveOperationException error) {
          throw new AssertionError(error);
        }
      }
    }
    throw new NotThereException();
  }

  private static Object[] taken(Class<?>[] parameters, Object[] words) {
    if (parameters.length != words.length) {
      return null;
    }
    Object[] taken = new Object[words.length];
    for (int index = 0; index < words.length; index++) {
      taken[index] = word(parameters[index], words[index]);
      if (taken[index] == null) {
        return null;
      }
    }
    return taken;
  }

  private static Object word(Class<?> parameter, Object word) {
    if (parameter.isEnum()) {
      for (Object each : parameter.getEnumConstants()) {
        if (each.toString().equals(word)) {
          return each;
        }
      }
      return null;
    }
    if (parameter.isPrimitive()) {
      boolean fits = parameter == boolean.class ? word instanceof Boolean : parameter == int.class ? word instanceof Integer
        : parameter == long.class ? word instanceof Long : word instanceof Float;
      return fits ? word : null;
    }
    return parameter.isInstance(word) ? word : null;
  }
}
